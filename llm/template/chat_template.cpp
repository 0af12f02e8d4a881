#include "llm/template/chat_template.h"

#include <algorithm>
#include <chrono>
#include <ctime>

#include "llm/template/interpreter.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

// A visual part within a string: one character of a private plane, of origin kVisual.
constexpr char32_t kFirstMark = 0xF0000;
constexpr size_t kMaxVisuals = 65534;
constexpr int64_t kMaxRange = 100'000;  // as in jinja2's sandbox

Text visual_text(size_t number) {
  check(number < kMaxVisuals, ErrorCode::kInvalidArgument,
        "messages: expected at most 65534 visual parts, got more");
  std::string mark;
  append_utf8(mark, kFirstMark + static_cast<char32_t>(number));
  return Text(mark, kVisual);
}

Value dict_of(std::initializer_list<std::pair<const char*, Value>> members) {
  Value::Dict dict;
  for (const auto& [key, value] : members) dict.emplace_back(Text(key, kTemplate), value);
  return Value::of(std::move(dict));
}

bool has_visual(const Message& message) {
  return std::any_of(message.parts.begin(), message.parts.end(), [](const PromptPart& part) {
    return !std::holds_alternative<std::string>(part);
  });
}

/// The content as one string. `number` counts the visual parts.
Value content_string(const Message& message, size_t& number) {
  Text text;
  for (const PromptPart& part : message.parts) {
    if (const auto* words = std::get_if<std::string>(&part)) {
      text.append(valid_utf8(*words), kUser);
    } else {
      text.append(visual_text(number++));
    }
  }
  return Value::content(std::move(text));
}

Value content_parts(const Message& message, size_t& number) {
  Value::List parts;
  for (const PromptPart& part : message.parts) {
    if (const auto* words = std::get_if<std::string>(&part)) {
      parts.push_back(
          dict_of({{"type", Value::of("text")}, {"text", Value::of(valid_utf8(*words), kUser)}}));
    } else {
      parts.push_back(dict_of({{"type", Value::of("image")}}));
      ++number;
    }
  }
  return Value::of(std::move(parts));
}

/// As clients of OpenAI's interface write it: type, id and function, in this order.
Value call_value(const ToolCall& call) {
  Value::Dict members{{Text("type", kTemplate), Value::of("function")}};
  if (!call.id.empty())
    members.emplace_back(Text("id", kTemplate), Value::of(valid_utf8(call.id), kUser));
  members.emplace_back(Text("function", kTemplate),
                       dict_of({{"name", Value::of(valid_utf8(call.name), kUser)},
                                {"arguments", Value::from_json(call.arguments)}}));
  return Value::of(std::move(members));
}

/// A message that calls tools and says nothing has a content of none. What a message does not have
/// is not there: templates ask whether it is.
Value message_value(const Message& message, bool as_list, size_t& number) {
  Value::Dict members{{Text("role", kTemplate), Value::of(valid_utf8(message.role), kUser)}};
  const auto add = [&](const char* name, Value value) {
    members.emplace_back(Text(name, kTemplate), std::move(value));
  };
  if (message.parts.empty() && !message.tool_calls.empty()) {
    add("content", Value::none());
  } else {
    add("content", as_list ? content_parts(message, number) : content_string(message, number));
  }
  if (!message.tool_calls.empty()) {
    Value::List calls;
    for (const ToolCall& call : message.tool_calls) calls.push_back(call_value(call));
    add("tool_calls", Value::of(std::move(calls)));
  }
  if (!message.tool_call_id.empty())
    add("tool_call_id", Value::of(valid_utf8(message.tool_call_id), kUser));
  if (!message.tool_name.empty()) add("name", Value::of(valid_utf8(message.tool_name), kUser));
  return Value::of(std::move(members));
}

Value messages_value(const std::vector<Message>& messages, bool lists_for_visual, bool lists) {
  Value::List all;
  size_t number = 0;
  for (const Message& message : messages) {
    const bool as_list = lists || (lists_for_visual && has_visual(message));
    all.push_back(message_value(message, as_list, number));
  }
  return Value::of(std::move(all));
}

/// Whether an expression reads something called `content`.
bool reads_content(const Expression& e) {
  if (e.kind == Expression::kLiteral && e.value.is_string() && e.value.bytes() == "content")
    return true;
  if ((e.kind == Expression::kAttribute || e.kind == Expression::kName) && e.name == "content")
    return true;
  return std::any_of(e.parts.begin(), e.parts.end(),
                     [](const ExpressionPtr& part) { return part && reads_content(*part); });
}

/// Whether a loop goes through the parts of a content.
bool loops_over_content(const Block& block) {
  return std::any_of(block.begin(), block.end(), [](const auto& s) {
    return (s->kind == Statement::kFor && s->expression->kind != Expression::kCall &&
            reads_content(*s->expression)) ||
           loops_over_content(s->body) || loops_over_content(s->other);
  });
}

Value range_of(Interpreter& run, const Arguments& given) {
  int64_t bounds[3] = {0, 0, 1};
  const size_t count = given.positional.size();
  if (count < 1 || count > 3) template_error("range: expected one to three numbers");
  for (size_t i = 0; i < count; ++i) {
    const Value& x = given.positional[i];
    if (!x.is_int()) template_error(std::string("range: expected a number, got ") + x.kind());
    bounds[count == 1 ? 1 : i] = std::clamp<int64_t>(x.as_int(), -(1LL << 40), 1LL << 40);
  }
  if (bounds[2] == 0) template_error("range: expected a step other than 0");
  const int64_t length = (bounds[1] - bounds[0]) / bounds[2];
  check(length <= kMaxRange, ErrorCode::kResourceExhausted,
        "chat template: range: expected at most 100000 numbers, got more");
  Value::List items;
  for (int64_t x = bounds[0]; bounds[2] > 0 ? x < bounds[1] : x > bounds[1]; x += bounds[2]) {
    run.charge(sizeof(Value));
    items.push_back(Value::of(x));
  }
  return Value::of(std::move(items));
}

Value time_text(const Arguments& given, std::optional<int64_t> now) {
  const auto seconds =
      static_cast<std::time_t>(now.value_or(std::chrono::duration_cast<std::chrono::seconds>(
                                                std::chrono::system_clock::now().time_since_epoch())
                                                .count()));
  std::tm parts{};
  if (now) {
    gmtime_r(&seconds, &parts);
  } else {
    localtime_r(&seconds, &parts);
  }
  const std::string format = given.get(0).str().bytes.substr(0, 256);
  char text[1024];
  return Value::of(
      std::string_view(text, std::strftime(text, sizeof text, format.c_str(), &parts)));
}

std::map<std::string, Value, std::less<>> functions(std::optional<int64_t> now) {
  const auto function = [](Function f) { return Value::of(std::move(f)); };
  std::map<std::string, Value, std::less<>> all;
  all["range"] = function(range_of);
  all["namespace"] = function([](Interpreter& run, const Arguments& given) {
    Namespace* space = run.new_namespace();
    for (const Value& value : given.positional) {
      if (!value.is_dict()) template_error("namespace: expected a dictionary");
      for (const auto& [key, member] : value.members()) space->members[key.bytes] = member;
    }
    for (const auto& [name, value] : given.named) space->members[name] = value;
    return Value::of(space);
  });
  all["dict"] = function([](Interpreter& run, const Arguments& given) {
    run.charge(given.named.size() * sizeof(Value));
    Value::Dict members;
    for (const auto& [name, value] : given.named)
      members.emplace_back(Text(name, kTemplate), value);
    return Value::of(std::move(members));
  });
  all["raise_exception"] = function([](Interpreter&, const Arguments& given) -> Value {
    template_error(given.get(0).str().bytes);
  });
  all["strftime_now"] =
      function([now](Interpreter&, const Arguments& given) { return time_text(given, now); });
  return all;
}

void push_piece(std::vector<TemplatePiece>& pieces, std::string_view text, bool from_user) {
  if (text.empty()) return;
  if (!pieces.empty() && pieces.back().visual < 0 && pieces.back().from_user == from_user) {
    pieces.back().text += text;
  } else {
    pieces.push_back({std::string(text), from_user, -1});
  }
}

/// Template text, with the template's own marks of pictures made visual pieces.
void push_template_text(std::vector<TemplatePiece>& pieces, std::string_view text,
                        const std::string& mark, int& next_visual) {
  while (!mark.empty()) {
    const size_t at = text.find(mark);
    if (at == std::string_view::npos) break;
    push_piece(pieces, text.substr(0, at), false);
    pieces.push_back({{}, false, next_visual++});
    text.remove_prefix(at + mark.size());
  }
  push_piece(pieces, text, false);
}

std::vector<TemplatePiece> pieces_of(const Text& text, const std::string& mark) {
  std::vector<TemplatePiece> pieces;
  int next_visual = 0;
  for (size_t begin = 0; begin < text.size();) {
    const char origin = text.origin[begin];
    const size_t end = std::min(text.origin.find_first_not_of(origin, begin), text.size());
    const std::string_view run = std::string_view(text.bytes).substr(begin, end - begin);
    if (origin == kVisual) {
      for (size_t i = 0; i < run.size();)
        pieces.push_back({{}, false, static_cast<int>(next_character(run, i) - kFirstMark)});
    } else if (origin == kUser) {
      push_piece(pieces, run, true);
    } else {
      push_template_text(pieces, run, mark, next_visual);
    }
    begin = end;
  }
  return pieces;
}

}  // namespace

struct ChatTemplate::State {
  Block root;
  std::string bos, eos;
  bool loops_over_content = false;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string bos_token, std::string eos_token) {
  State state{parse_template(valid_utf8(source)), std::move(bos_token), std::move(eos_token)};
  state.loops_over_content = loops_over_content(state.root);
  state_ = std::make_unique<const State>(std::move(state));
}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

std::vector<TemplatePiece> ChatTemplate::render(const std::vector<Message>& messages,
                                                const ChatTemplateOptions& options) const {
  auto globals = functions(options.now_seconds);
  globals["bos_token"] = Value::of(state_->bos);
  globals["eos_token"] = Value::of(state_->eos);
  globals["add_generation_prompt"] = Value::of(options.add_generation_prompt);
  globals["tools"] = Value::from_json(options.tools);
  globals["documents"] = Value::none();
  if (!options.variables.is_null()) {
    for (const auto& [name, value] : options.variables.as_object())
      globals[name] = Value::from_json(value);
  }
  for (const bool lists : {false, true}) {
    globals["messages"] = messages_value(messages, state_->loops_over_content, lists);
    try {
      Interpreter run(state_->root, globals);
      return pieces_of(run.run(), options.visual_mark);
    } catch (const WantsParts&) {
      continue;  // now with the content of every message as a list
    }
  }
  throw Error(ErrorCode::kInternal, "chat template: expected it to read lists of parts");
}

}  // namespace lv::llm
