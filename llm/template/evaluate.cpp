#include <algorithm>
#include <cmath>

#include "llm/template/interpreter.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

/// Python's floor division and remainder. `b` is not 0.
int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
int64_t remainder(int64_t a, int64_t b) { return a - floor_divide(a, b) * b; }

[[noreturn]] void no_such_operation(const std::string& sign, const Value& left,
                                    const Value& right) {
  const auto name = [](const Value& x) {
    return std::string(x.kind()) + (x.is_undefined() ? " ('" + x.undefined_name() + "')" : "");
  };
  template_error("'" + sign + "' of " + name(left) + " and " + name(right));
}

Value whole_arithmetic(const std::string& sign, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (sign == "+") overflow = __builtin_add_overflow(a, b, &result);
  if (sign == "-") overflow = __builtin_sub_overflow(a, b, &result);
  if (sign == "*") overflow = __builtin_mul_overflow(a, b, &result);
  if (sign == "//" || sign == "%") {
    if (b == 0) template_error("division by zero");
    overflow = a == INT64_MIN && b == -1;
    if (!overflow) result = sign == "%" ? remainder(a, b) : floor_divide(a, b);
  }
  if (sign == "**") {
    result = 1;
    for (int64_t i = 0; i < b && !overflow; ++i) {
      overflow = __builtin_mul_overflow(result, a, &result) || i > 64;
    }
  }
  if (overflow) template_error("a number out of range");
  return Value::of(result);
}

/// Python's slice: where to begin, the step, and how many items.
struct Range {
  int64_t begin = 0, step = 1, count = 0;
};

Range slice_range(const Value& begin, const Value& end, const Value& step, int64_t size) {
  const auto whole = [](const Value& x) {
    if (!x.is_int()) template_error(std::string("a slice of ") + x.kind());
    return std::clamp<int64_t>(x.as_int(), -(1LL << 40), 1LL << 40);
  };
  const auto absent = [](const Value& x) { return x.is_undefined() || x.is_none(); };
  Range range;
  if (!absent(step)) range.step = whole(step);
  if (range.step == 0) template_error("a slice with step 0");
  const bool forward = range.step > 0;
  const int64_t low = forward ? 0 : -1, high = forward ? size : size - 1;
  const auto bound = [&](const Value& x, int64_t fallback) {
    if (absent(x)) return fallback;
    const int64_t at = whole(x);
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  range.begin = bound(begin, forward ? low : high);
  const int64_t stop = bound(end, forward ? high : low);
  const int64_t distance = forward ? stop - range.begin : range.begin - stop;
  const int64_t stride = std::abs(range.step);
  range.count = distance > 0 ? (distance + stride - 1) / stride : 0;
  return range;
}

}  // namespace

Value Interpreter::lookup(std::string_view name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    const auto it = scope->find(name);
    if (it != scope->end()) return it->second;
  }
  return Value::undefined(std::string(name));
}

Value Interpreter::evaluate(const Expression& e) {
  const Deeper deeper(*this);
  line_ = e.line;
  const auto part = [&](size_t i) { return evaluate(*e.parts[i]); };
  switch (e.kind) {
    case Expression::kLiteral:
      return e.value;
    case Expression::kName:
      return lookup(e.name);
    case Expression::kList:
    case Expression::kTuple:
    case Expression::kDict:
      return collection(e);
    case Expression::kAttribute:
      return attribute(part(0), e.name);
    case Expression::kItem:
      return item(part(0), part(1));
    case Expression::kSlice:
      return slice(e);
    case Expression::kCall:
      return call(e);
    case Expression::kFilter:
      return apply_filter(*this, e.name, part(0), arguments(e, 1));
    case Expression::kTest:
      return Value::of(apply_test(*this, e.name, part(0), arguments(e, 1)));
    case Expression::kNot:
      return Value::of(!part(0).truthy());
    case Expression::kNegate:
      return binary("-", Value::of(int64_t{0}), part(0));
    case Expression::kPlus:
      return binary("+", Value::of(int64_t{0}), part(0));
    case Expression::kAnd: {
      Value left = part(0);
      return left.truthy() ? part(1) : left;
    }
    case Expression::kOr: {
      Value left = part(0);
      return left.truthy() ? left : part(1);
    }
    case Expression::kBinary: {
      const Value left = part(0);
      return binary(e.name, left, part(1));
    }
    case Expression::kCompare:
      return compare_chain(e);
    case Expression::kConcat:
      return concatenate(e);
    case Expression::kChoice:
      if (part(0).truthy()) return part(1);
      return e.parts[2] ? part(2) : Value();
  }
  return {};
}

/// A list, tuple or dictionary that is written out.
Value Interpreter::collection(const Expression& e) {
  charge(e.parts.size() * sizeof(Value) + 64);
  Value::List items;
  for (const auto& item : e.parts) items.push_back(evaluate(*item));
  if (e.kind != Expression::kDict) return Value::of(std::move(items), e.kind == Expression::kTuple);
  Value::Dict members;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    members.emplace_back(items[i].str(), std::move(items[i + 1]));
  return Value::of(std::move(members));
}

Arguments Interpreter::arguments(const Expression& e, size_t first) {
  Arguments all;
  for (size_t i = first; i < e.parts.size(); ++i) all.positional.push_back(evaluate(*e.parts[i]));
  for (const auto& [name, value] : e.named) all.named.emplace_back(name, evaluate(*value));
  return all;
}

Value Interpreter::attribute(const Value& object, const std::string& name) {
  if (object.is_undefined())
    template_error("'" + object.undefined_name() + "' is undefined, so it has no '" + name + "'");
  if (const Value* member = object.find(name)) return *member;
  if (const Method method = find_method(object, name)) {
    return Value::of(Function([object, method](Interpreter& run, const Arguments& given) {
      return method(run, object, given);
    }));
  }
  return Value::undefined(name);
}

Value Interpreter::item(const Value& object, const Value& index) {
  if (index.is_string()) return attribute(object, index.bytes());
  if (object.is_undefined())
    template_error("'" + object.undefined_name() + "' is undefined, so it has no items");
  if (object.is_content()) throw WantsParts();
  if (!index.is_int() || object.is_lazy() || !(object.is_list() || object.is_string())) return {};
  const auto starts = object.is_string() ? character_starts(object.text()) : std::vector<size_t>();
  const auto size = object.is_string() ? static_cast<int64_t>(starts.size()) - 1
                                       : static_cast<int64_t>(object.items().size());
  const int64_t at = index.as_int() < 0 ? index.as_int() + size : index.as_int();
  if (at < 0 || at >= size) return Value::undefined("item " + std::to_string(index.as_int()));
  const auto i = static_cast<size_t>(at);
  if (object.is_list()) return object.items()[i];
  return Value::of(object.text().slice(starts[i], starts[i + 1]));
}

Value Interpreter::slice(const Expression& e) {
  const Value object = evaluate(*e.parts[0]);
  const auto bound = [&](size_t i) { return e.parts[i] ? evaluate(*e.parts[i]) : Value(); };
  const Value begin = bound(1), end = bound(2), step = bound(3);
  if (object.is_lazy() || !(object.is_list() || object.is_string()))
    template_error(std::string("a slice of ") + object.kind());
  const Value::List items = object.is_list() ? object.items() : Value::List();
  const auto starts = object.is_string() ? character_starts(object.text()) : std::vector<size_t>();
  const auto size = object.is_string() ? starts.size() - 1 : items.size();
  const Range range = slice_range(begin, end, step, static_cast<int64_t>(size));
  charge(static_cast<size_t>(range.count) * (object.is_list() ? sizeof(Value) : 8));
  Value::List kept;
  Text text;
  for (int64_t k = 0; k < range.count; ++k) {
    const auto i = static_cast<size_t>(range.begin + k * range.step);
    if (object.is_list()) {
      kept.push_back(items[i]);
    } else {
      text.append(object.text().slice(starts[i], starts[i + 1]));
    }
  }
  if (object.is_string()) return Value::of(std::move(text));
  return Value::of(std::move(kept), object.is_tuple());
}

Value Interpreter::call(const Expression& e) {
  const Expression& callee = *e.parts[0];
  if (callee.kind == Expression::kAttribute) {  // a method comes before a key of the same name
    const Value object = evaluate(*callee.parts[0]);
    if (const Method method = find_method(object, callee.name))
      return method(*this, object, arguments(e, 1));
    const Value member = attribute(object, callee.name);
    if (!member.is_callable())
      template_error(std::string(object.kind()) + " has no method '" + callee.name + "'");
    return member.function()(*this, arguments(e, 1));
  }
  const Value function = evaluate(callee);
  if (!function.is_callable()) {
    template_error(function.is_undefined() ? "'" + function.undefined_name() + "' is undefined"
                                           : std::string(function.kind()) + " cannot be called");
  }
  return function.function()(*this, arguments(e, 1));
}

Value Interpreter::binary(const std::string& sign, const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) return arithmetic(sign, left, right);
  if (sign == "+" && left.is_string() && right.is_string()) {
    charge(left.text().size() + right.text().size());
    Text text = left.text();
    text.append(right.text());
    return Value::of(std::move(text));
  }
  if (sign == "+" && left.is_list() && right.is_list() && left.is_tuple() == right.is_tuple()) {
    Value::List items = left.items();
    items.insert(items.end(), right.items().begin(), right.items().end());
    charge(items.size() * sizeof(Value));
    return Value::of(std::move(items), left.is_tuple());
  }
  const auto whole = [](const Value& x) { return x.is_number() && !x.is_float(); };
  if (sign == "*" && (left.is_string() || left.is_list()) && whole(right))
    return repeated(left, right.as_int());
  if (sign == "*" && whole(left) && (right.is_string() || right.is_list()))
    return repeated(right, left.as_int());
  no_such_operation(sign, left, right);
}

Value Interpreter::repeated(const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::clamp<int64_t>(times, 0, 1 << 30));
  charge(count);
  if (value.is_string()) {
    charge(count * value.text().size());
    Text text;
    for (size_t i = 0; i < count; ++i) text.append(value.text());
    return Value::of(std::move(text));
  }
  charge(count * value.items().size() * sizeof(Value));
  Value::List items;
  for (size_t i = 0; i < count && !value.items().empty(); ++i)
    items.insert(items.end(), value.items().begin(), value.items().end());
  return Value::of(std::move(items), value.is_tuple());
}

Value Interpreter::arithmetic(const std::string& sign, const Value& left, const Value& right) {
  const bool whole = !left.is_float() && !right.is_float();
  if (whole && sign != "/" && !(sign == "**" && right.as_int() < 0))
    return whole_arithmetic(sign, left.as_int(), right.as_int());
  const double a = left.as_float(), b = right.as_float();
  if (sign == "+") return Value::of(a + b);
  if (sign == "-") return Value::of(a - b);
  if (sign == "*") return Value::of(a * b);
  if (sign == "**") return Value::of(std::pow(a, b));
  if (b == 0) template_error("division by zero");
  if (sign == "/") return Value::of(a / b);
  if (sign == "//") return Value::of(std::floor(a / b));
  const double rest = std::fmod(a, b);  // with the divisor's sign, also of zero
  if (rest == 0) return Value::of(std::copysign(0.0, b));
  return Value::of((rest < 0) != (b < 0) ? rest + b : rest);
}

Value Interpreter::concatenate(const Expression& e) {
  Text text;
  for (const auto& part : e.parts) {
    const Text more = evaluate(*part).str();
    charge(more.size());
    text.append(more);
  }
  return Value::of(std::move(text));
}

Value Interpreter::compare_chain(const Expression& e) {
  Value left = evaluate(*e.parts[0]);
  for (size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(*e.parts[i + 1]);
    if (!compares(e.operators[i], left, right)) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

bool Interpreter::compares(const std::string& sign, const Value& left, const Value& right) {
  if (sign == "==") return left.equals(right);
  if (sign == "!=") return !left.equals(right);
  if (sign == "in") return contains(right, left);
  if (sign == "not in") return !contains(right, left);
  const int order = compare(left, right);
  if (sign == "<") return order < 0;
  if (sign == "<=") return order <= 0;
  return sign == ">" ? order > 0 : order >= 0;
}

bool Interpreter::contains(const Value& whole, const Value& part) {
  if (whole.is_string()) {
    if (!part.is_string()) template_error(std::string("a string cannot hold ") + part.kind());
    return whole.bytes().find(part.bytes()) != std::string::npos;
  }
  if (whole.is_dict() || whole.name_space() != nullptr)
    return part.is_string() && whole.find(part.bytes()) != nullptr;
  if (whole.is_undefined()) return false;
  if (!whole.is_list()) template_error(std::string("'in' of ") + whole.kind());
  return std::any_of(whole.items().begin(), whole.items().end(),
                     [&](const Value& item) { return item.equals(part); });
}

}  // namespace lv::llm
