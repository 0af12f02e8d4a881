#include "llm/template/interpreter.h"

#include <algorithm>
#include <cmath>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr size_t kMaxBytes = 128 << 20;
constexpr int64_t kMaxSteps = 5'000'000;
constexpr int kMaxDepth = 400;
constexpr size_t kOwnScopes = 2;  // what the template is given, and what it sets itself

/// The object called `loop` within a loop.
Value loop_object(const Value::List& items, size_t i) {
  const auto size = static_cast<int64_t>(items.size()), at = static_cast<int64_t>(i);
  Value::Dict loop;
  const auto set = [&](const char* name, Value value) {
    loop.emplace_back(Text(name, kTemplate), std::move(value));
  };
  set("index", Value::of(at + 1));
  set("index0", Value::of(at));
  set("revindex", Value::of(size - at));
  set("revindex0", Value::of(size - at - 1));
  set("first", Value::of(i == 0));
  set("last", Value::of(at + 1 == size));
  set("length", Value::of(size));
  set("depth", Value::of(int64_t{1}));
  set("depth0", Value::of(int64_t{0}));
  set("previtem", i > 0 ? items[i - 1] : Value::undefined("previtem"));
  set("nextitem", i + 1 < items.size() ? items[i + 1] : Value::undefined("nextitem"));
  set("cycle", Value::of(Function([i](Interpreter&, const Arguments& given) {
        if (given.positional.empty()) template_error("loop.cycle: expected values, got none");
        return given.positional[i % given.positional.size()];
      })));
  return Value::of(std::move(loop));
}

}  // namespace

[[noreturn]] void template_error(const std::string& what) {
  throw Error(ErrorCode::kInvalidArgument, "chat template: " + what);
}

struct Interpreter::Scope {
  explicit Scope(Interpreter& run) : scopes(run.scopes_) { scopes.emplace_back(); }
  ~Scope() { scopes.pop_back(); }
  std::vector<Variables>& scopes;
};

Interpreter::Deeper::Deeper(Interpreter& run) : depth(run.depth_) {
  check(depth < kMaxDepth, ErrorCode::kResourceExhausted, "chat template: calls are too deep");
  check(++run.steps_ <= kMaxSteps, ErrorCode::kResourceExhausted,
        "chat template: more than 5000000 steps");
  ++depth;
}

Interpreter::Interpreter(const Block& root, Variables globals) : root_(root) {
  scopes_.push_back(std::move(globals));
  scopes_.emplace_back();
}

void Interpreter::charge(size_t bytes) {
  check(bytes <= kMaxBytes && bytes_ + bytes <= kMaxBytes, ErrorCode::kResourceExhausted,
        "chat template: more than 128 MiB of values");
  bytes_ += bytes;
}

Namespace* Interpreter::new_namespace() {
  charge(256);
  namespaces_.push_back(std::make_unique<Namespace>());
  return namespaces_.back().get();
}

Text Interpreter::run() {
  Text out;
  try {
    run_block(root_, out);
  } catch (const Error& problem) {
    static const std::string kPrefix = "chat template: ";
    std::string text = problem.what();
    if (text.starts_with(kPrefix)) text.erase(0, kPrefix.size());
    throw Error(problem.code(), "chat template, line " + std::to_string(line_) + ": " + text);
  }
  return out;
}

void Interpreter::append(Text& out, const Text& text) {
  charge(text.size());
  out.append(text);
}

Interpreter::Flow Interpreter::run_block(const Block& block, Text& out) {
  for (const auto& statement : block) {
    const Flow flow = run_statement(*statement, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Text Interpreter::captured(const Block& block) {
  Text text;
  run_block(block, text);
  return text;
}

Interpreter::Flow Interpreter::run_statement(const Statement& s, Text& out) {
  const Deeper deeper(*this);
  line_ = s.line;
  switch (s.kind) {
    case Statement::kText:
      charge(s.name.size());
      out.append(s.name, kTemplate);
      break;
    case Statement::kPrint:
      append(out, evaluate(*s.expression).str());
      break;
    case Statement::kIf:
      return run_block(evaluate(*s.expression).truthy() ? s.body : s.other, out);
    case Statement::kFor:
      return run_for(s, out);
    case Statement::kSet:
    case Statement::kSetBlock:
      run_set(s);
      break;
    case Statement::kMacro:
      scopes_.back()[s.name] = macro(s);
      break;
    case Statement::kCall: {
      const Scope scope(*this);
      scopes_.back()["caller"] = macro(s);
      append(out, evaluate(*s.expression).str());
      break;
    }
    case Statement::kFilter: {
      const Scope scope(*this);
      append(out, filtered(s, captured(s.body)).str());
      break;
    }
    case Statement::kWith: {
      std::vector<Value> values;
      for (const auto& value : s.values) values.push_back(evaluate(*value));
      const Scope scope(*this);
      for (size_t i = 0; i < values.size(); ++i) scopes_.back()[s.targets[i]] = values[i];
      return run_block(s.body, out);
    }
    case Statement::kBreak:
      return Flow::kBreak;
    case Statement::kContinue:
      return Flow::kContinue;
  }
  return Flow::kNext;
}

Value::List Interpreter::items_of(const Value& value) {
  if (value.is_content()) throw WantsParts();
  Value::List items;
  if (value.is_list()) {
    items = value.items();
  } else if (value.is_dict()) {
    for (const auto& [key, member] : value.members()) items.push_back(Value::of(key));
  } else if (value.is_string()) {
    const auto starts = character_starts(value.text());
    charge(starts.size() * 64);
    for (size_t i = 0; i + 1 < starts.size(); ++i)
      items.push_back(Value::of(value.text().slice(starts[i], starts[i + 1])));
  } else if (!value.is_undefined()) {
    template_error(std::string("expected something to iterate over, got ") + value.kind());
  }
  charge(items.size() * sizeof(Value));
  return items;
}

Interpreter::Flow Interpreter::run_for(const Statement& s, Text& out) {
  Value::List items = items_of(evaluate(*s.expression));
  if (s.condition) {
    Value::List kept;
    for (const Value& item : items) {
      const Scope scope(*this);
      assign(s.targets, item);
      if (evaluate(*s.condition).truthy()) kept.push_back(item);
    }
    items = std::move(kept);
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const Scope scope(*this);
    assign(s.targets, items[i]);
    scopes_.back()["loop"] = loop_object(items, i);
    if (run_block(s.body, out) == Flow::kBreak) break;
  }
  if (items.empty()) return run_block(s.other, out);
  return Flow::kNext;
}

void Interpreter::assign(const std::vector<std::string>& targets, const Value& value) {
  if (targets.size() == 1) {
    scopes_.back()[targets[0]] = value;
    return;
  }
  const Value::List parts = items_of(value);
  if (parts.size() != targets.size()) {
    template_error("expected " + std::to_string(targets.size()) + " values to unpack, got " +
                   std::to_string(parts.size()));
  }
  for (size_t i = 0; i < targets.size(); ++i) scopes_.back()[targets[i]] = parts[i];
}

Value Interpreter::filtered(const Statement& s, Text text) {
  if (!s.expression) return Value::of(std::move(text));
  const Scope scope(*this);
  scopes_.back()[kBlockValue] = Value::of(std::move(text));
  return evaluate(*s.expression);
}

void Interpreter::run_set(const Statement& s) {
  Value value;
  if (s.kind == Statement::kSet) {
    value = evaluate(*s.expression);
  } else {
    Text text;
    {
      const Scope scope(*this);
      text = captured(s.body);
    }
    value = filtered(s, std::move(text));
  }
  if (s.attribute.empty()) {
    assign(s.targets, value);
    return;
  }
  Namespace* space = lookup(s.targets[0]).name_space();
  if (space == nullptr) template_error("'" + s.targets[0] + "' is no namespace");
  space->members[s.attribute] = value;
}

Value Interpreter::macro(const Statement& s) {
  // A macro sees the template's own variables; the body of a call also those around the call.
  Closure closure;
  if (s.kind == Statement::kCall) closure.assign(scopes_.begin() + kOwnScopes, scopes_.end());
  return Value::of(Function([&s, closure](Interpreter& run, const Arguments& given) {
    return Value::of(run.run_macro(s, given, closure));
  }));
}

Text Interpreter::run_macro(const Statement& s, const Arguments& given, const Closure& closure) {
  const Deeper deeper(*this);
  Variables variables;
  if (given.positional.size() > s.parameters.size())
    template_error("macro '" + s.name + "' takes at most " + std::to_string(s.parameters.size()) +
                   " arguments, got " + std::to_string(given.positional.size()));
  for (const auto& argument : given.named) {
    const bool known = std::any_of(s.parameters.begin(), s.parameters.end(),
                                   [&](const Parameter& p) { return p.name == argument.first; });
    if (!known && argument.first != "caller")
      template_error("macro '" + s.name + "' has no parameter '" + argument.first + "'");
    variables[argument.first] = argument.second;
  }
  const Value caller = lookup("caller");
  Closure outer(std::make_move_iterator(scopes_.begin() + kOwnScopes),
                std::make_move_iterator(scopes_.end()));
  const struct Restore {
    ~Restore() {
      all.resize(kOwnScopes);
      std::move(outer.begin(), outer.end(), std::back_inserter(all));
    }
    std::vector<Variables>& all;
    std::vector<Variables>& outer;
  } restore{scopes_, outer};
  scopes_.resize(kOwnScopes);
  scopes_.insert(scopes_.end(), closure.begin(), closure.end());
  scopes_.push_back(std::move(variables));
  if (!caller.is_undefined()) scopes_.back().emplace("caller", caller);
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const Parameter& parameter = s.parameters[i];
    if (i < given.positional.size()) {
      scopes_.back()[parameter.name] = given.positional[i];
    } else if (!scopes_.back().contains(parameter.name)) {
      Value fallback =
          parameter.fallback ? evaluate(*parameter.fallback) : Value::undefined(parameter.name);
      scopes_.back()[parameter.name] = std::move(fallback);
    }
  }
  return captured(s.body);
}

}  // namespace lv::llm
