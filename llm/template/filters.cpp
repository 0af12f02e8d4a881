#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "llm/template/interpreter.h"
#include "llm/tokenizer/unicode.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr size_t kMaxSeparators = 16;  // bytes of both; each may be written many times

using Filter = Value (*)(Interpreter& run, const Value& value, const Arguments& arguments);

Text text_of(const Value& value) { return value.str(); }

Value::List list_of(Interpreter& run, const Value& value) { return run.items_of(value); }

/// value.a.b for "a.b"; a number is an index.
Value attribute_of(const Value& value, const std::string& path) {
  Value at = value;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    const std::string name = path.substr(begin, dot - begin);
    size_t index = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (at.is_list() && status == std::errc() && end == name.data() + name.size()) {
      at = index < at.items().size() ? at.items()[index] : Value();
    } else {
      const Value* member = at.find(name);
      at = member != nullptr ? *member : Value::undefined(name);
    }
    begin = dot + 1;
  }
  return at;
}

/// The items whose test holds (or does not): select, reject, selectattr and rejectattr.
Value selected(Interpreter& run, const Value& value, const Arguments& arguments, bool by_attribute,
               bool wanted) {
  const size_t at = by_attribute ? 1 : 0;
  Arguments rest;
  for (size_t i = at + 1; i < arguments.positional.size(); ++i)
    rest.positional.push_back(arguments.positional[i]);
  Value::List kept;
  for (const Value& item : list_of(run, value)) {
    const Value tested = by_attribute ? attribute_of(item, arguments.get(0).str().bytes) : item;
    const bool holds = arguments.positional.size() > at
                           ? apply_test(run, arguments.positional[at].str().bytes, tested, rest)
                           : tested.truthy();
    if (holds == wanted) kept.push_back(item);
  }
  return Value::lazy(std::move(kept));
}

Value map_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  Value::List mapped;
  const Value attribute = arguments.get(SIZE_MAX, "attribute");
  const Value fallback = arguments.get(SIZE_MAX, "default");
  Arguments rest;
  for (size_t i = 1; i < arguments.positional.size(); ++i)
    rest.positional.push_back(arguments.positional[i]);
  for (const Value& item : list_of(run, value)) {
    if (attribute.is_undefined()) {
      mapped.push_back(apply_filter(run, arguments.get(0).str().bytes, item, rest));
    } else {
      const Value found = attribute_of(item, attribute.str().bytes);
      mapped.push_back(found.is_undefined() ? fallback : found);
    }
  }
  return Value::lazy(std::move(mapped));
}

Value join_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  const Text separator = text_of(arguments.get(0, "d"));
  const Value attribute = arguments.get(1, "attribute");
  Text joined;
  bool first = true;
  for (const Value& item : list_of(run, value)) {
    if (!first) joined.append(separator);
    first = false;
    joined.append(
        text_of(attribute.is_undefined() ? item : attribute_of(item, attribute.str().bytes)));
    run.charge(separator.size() + 1);
  }
  run.charge(joined.size());
  return Value::of(std::move(joined));
}

Value length_filter(Interpreter&, const Value& value, const Arguments&) {
  size_t count = 0;
  if (value.is_string()) {
    count = character_starts(value.text()).size() - 1;
  } else if (value.is_list()) {
    count = value.items().size();
  } else if (value.is_dict()) {
    count = value.members().size();
  } else if (!value.is_undefined()) {
    template_error(std::string(value.kind()) + " has no length");
  }
  return Value::of(static_cast<int64_t>(count));
}

Value json_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  Value::JsonStyle style;
  const Value indent = arguments.get(2, "indent"), separators = arguments.get(3, "separators");
  if (indent.is_int()) {
    style.indent = static_cast<int>(std::clamp<int64_t>(indent.as_int(), 0, 32));
    style.between_items.assign(1, ',');
  }
  if (separators.is_list() && separators.items().size() == 2) {
    style.between_items = separators.items()[0].str().bytes;
    style.behind_key = separators.items()[1].str().bytes;
    if (style.between_items.size() + style.behind_key.size() > kMaxSeparators)
      template_error("tojson: expected short separators");
  }
  style.sort_keys = arguments.get(4, "sort_keys").truthy();
  Text text = value.json(style);
  run.charge(text.size());
  return Value::of(std::move(text));
}

Value indent_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  const Value width = arguments.get(0, "width");
  const bool first = arguments.get(1, "first").truthy();
  const bool blank = arguments.get(2, "blank").truthy();
  const Text pad = width.is_string()
                       ? width.text()
                       : Text(std::string(static_cast<size_t>(std::clamp<int64_t>(
                                              width.is_int() ? width.as_int() : 4, 0, 1000)),
                                          ' '),
                              kTemplate);
  const Text source = text_of(value);
  Text text;
  bool line_start = true, is_first = true;
  for (size_t i = 0; i < source.size(); ++i) {
    const bool newline = source.bytes[i] == '\n';
    if (line_start && (is_first ? first : (blank || !newline))) {
      run.charge(pad.size());
      text.append(pad);
    }
    text.append(source.bytes.substr(i, 1), source.origin[i]);
    line_start = newline;
    if (newline) is_first = false;
  }
  if (source.size() == 0 && first) text.append(pad);
  run.charge(text.size());
  return Value::of(std::move(text));
}

Value int_filter(Interpreter&, const Value& value, const Arguments& arguments) {
  const Value fallback =
      arguments.has(0, "default") ? arguments.get(0, "default") : Value::of(int64_t{0});
  if (value.is_float()) {
    const double x = std::trunc(value.as_float());
    return std::fabs(x) < 9e18 ? Value::of(static_cast<int64_t>(x)) : fallback;
  }
  if (value.is_number()) return Value::of(value.as_int());
  if (!value.is_string()) return fallback;
  const Text text = trimmed(value.text(), true, true, Value());
  double x = 0;
  const auto [end, status] = std::from_chars(text.bytes.data(), text.bytes.data() + text.size(), x);
  if (status != std::errc() || end != text.bytes.data() + text.size() || std::fabs(x) > 9e18)
    return fallback;
  return Value::of(static_cast<int64_t>(x));
}

Value float_filter(Interpreter&, const Value& value, const Arguments& arguments) {
  const Value fallback = arguments.has(0, "default") ? arguments.get(0, "default") : Value::of(0.0);
  if (value.is_number()) return Value::of(value.as_float());
  if (!value.is_string()) return fallback;
  const Text text = trimmed(value.text(), true, true, Value());
  double x = 0;
  const auto [end, status] = std::from_chars(text.bytes.data(), text.bytes.data() + text.size(), x);
  return status == std::errc() && end == text.bytes.data() + text.size() ? Value::of(x) : fallback;
}

Value round_filter(Interpreter&, const Value& value, const Arguments& arguments) {
  if (!value.is_number()) template_error(std::string("round of ") + value.kind());
  const Value digits = arguments.get(0, "precision");
  const double precision = digits.is_int() ? std::clamp<double>(digits.as_float(), -15, 15) : 0;
  if (!value.is_float() && precision >= 0) return Value::of(value.as_int());
  const double scale = std::pow(10, precision);
  return Value::of(std::nearbyint(value.as_float() * scale) / scale);
}

/// Words begin behind white space, hyphens and opening brackets only, unlike those of str.title().
Value title_filter(Interpreter& run, const Value& value, const Arguments&) {
  const Text source = text_of(value);
  Text result;
  bool begins = true;
  for (const Value& item : run.items_of(Value::of(source))) {
    const Text& character = item.text();
    size_t at = 0;
    const char32_t c = next_character(character.bytes, at);
    const bool opens = is_python_space(c) ||
                       (c < 0x80 && c != 0 && std::strchr("-({[<", static_cast<int>(c)) != nullptr);
    result.append(opens ? character
                        : with_case(character, begins ? LetterCase::kUpper : LetterCase::kLower));
    begins = opens;
  }
  return Value::of(std::move(result));
}

/// [key, value] tuples of a dictionary.
Value::List pairs_of(const Value& value) {
  Value::List pairs;
  if (value.is_undefined()) return pairs;
  if (!value.is_dict()) template_error(std::string("items of ") + value.kind());
  for (const auto& [key, member] : value.members())
    pairs.push_back(Value::of(Value::List{Value::of(key), member}, true));
  return pairs;
}

/// Text compares without regard to case unless asked otherwise.
Value sort_key(const Value& value, bool case_sensitive) {
  return value.is_string() && !case_sensitive
             ? Value::of(with_case(value.text(), LetterCase::kLower))
             : value;
}

Value dictsort_filter(Interpreter&, const Value& value, const Arguments& arguments) {
  const bool case_sensitive = arguments.get(0, "case_sensitive").truthy();
  const Value by = arguments.get(1, "by");
  const size_t at = by.is_string() && by.bytes() == "value" ? 1 : 0;
  Value::List pairs = pairs_of(value);
  const bool reverse = arguments.get(2, "reverse").truthy();
  std::stable_sort(pairs.begin(), pairs.end(), [&](const Value& a, const Value& b) {
    const int order =
        compare(sort_key(a.items()[at], case_sensitive), sort_key(b.items()[at], case_sensitive));
    return reverse ? order > 0 : order < 0;
  });
  return Value::of(std::move(pairs));
}

Value sort_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  const bool reverse = arguments.get(0, "reverse").truthy();
  const bool case_sensitive = arguments.get(1, "case_sensitive").truthy();
  const Value attribute = arguments.get(2, "attribute");
  const auto key = [&](const Value& item) {
    return sort_key(attribute.is_undefined() ? item : attribute_of(item, attribute.str().bytes),
                    case_sensitive);
  };
  Value::List items = list_of(run, value);
  std::stable_sort(items.begin(), items.end(), [&](const Value& a, const Value& b) {
    const Value left = key(a), right = key(b);
    if (left.is_undefined() && right.is_undefined()) return false;
    const int order = compare(left, right);
    return reverse ? order > 0 : order < 0;
  });
  return Value::of(std::move(items));
}

Value unique_filter(Interpreter& run, const Value& value, const Arguments&) {
  Value::List kept;
  for (const Value& item : list_of(run, value)) {
    run.charge(kept.size());  // what the search costs
    const Value key = sort_key(item, false);
    const bool known = std::any_of(kept.begin(), kept.end(), [&](const Value& other) {
      return sort_key(other, false).equals(key);
    });
    if (!known) kept.push_back(item);
  }
  return Value::lazy(std::move(kept));
}

Value reverse_filter(Interpreter& run, const Value& value, const Arguments&) {
  Value::List items = list_of(run, value);
  std::reverse(items.begin(), items.end());
  if (!value.is_string()) return Value::lazy(std::move(items));
  Text text;
  for (const Value& item : items) text.append(item.text());
  return Value::of(std::move(text));
}

Value end_of(Interpreter& run, const Value& value, bool last) {
  const Value::List items = list_of(run, value);
  if (items.empty()) return {};
  return last ? items.back() : items.front();
}

Value extreme(Interpreter& run, const Value& value, int sign) {
  const Value::List items = list_of(run, value);
  if (items.empty()) return {};
  Value best = items[0];
  for (const Value& item : items) {
    if (compare(sort_key(item, false), sort_key(best, false)) * sign > 0) best = item;
  }
  return best;
}

Value default_filter(Interpreter&, const Value& value, const Arguments& arguments) {
  const bool missing =
      value.is_undefined() || (arguments.get(1, "boolean").truthy() && !value.truthy());
  if (!missing) return value;
  return arguments.has(0, "default_value") ? arguments.get(0, "default_value") : Value::of("");
}

Value replace_filter(Interpreter& run, const Value& value, const Arguments& arguments) {
  const Value count = arguments.get(2, "count");
  return Value::of(replaced(run, text_of(value), text_of(arguments.get(0, "old")),
                            text_of(arguments.get(1, "new")),
                            count.is_int() ? count.as_int() : -1));
}

Value abs_filter(Interpreter&, const Value& value, const Arguments&) {
  if (!value.is_number()) template_error(std::string("abs of ") + value.kind());
  return value.is_float() ? Value::of(std::fabs(value.as_float()))
                          : Value::of(std::abs(std::max(value.as_int(), -INT64_MAX)));
}

const std::map<std::string, Filter, std::less<>>& filters() {
  using Run = Interpreter&;
  using V = const Value&;
  using A = const Arguments&;
  static const std::map<std::string, Filter, std::less<>> all = {
      {"abs", abs_filter},
      {"capitalize",
       [](Run, V x, A) { return Value::of(with_case(text_of(x), LetterCase::kCapitalized)); }},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"dictsort", dictsort_filter},
      {"first", [](Run r, V x, A) { return end_of(r, x, false); }},
      {"float", float_filter},
      {"indent", indent_filter},
      {"int", int_filter},
      {"items", [](Run, V x, A) { return Value::lazy(pairs_of(x)); }},
      {"join", join_filter},
      {"last", [](Run r, V x, A) { return end_of(r, x, true); }},
      {"length", length_filter},
      {"list", [](Run r, V x, A) { return Value::of(list_of(r, x)); }},
      {"lower", [](Run, V x, A) { return Value::of(with_case(text_of(x), LetterCase::kLower)); }},
      {"map", map_filter},
      {"max", [](Run r, V x, A) { return extreme(r, x, 1); }},
      {"min", [](Run r, V x, A) { return extreme(r, x, -1); }},
      {"reject", [](Run r, V x, A a) { return selected(r, x, a, false, false); }},
      {"rejectattr", [](Run r, V x, A a) { return selected(r, x, a, true, false); }},
      {"replace", replace_filter},
      {"reverse", reverse_filter},
      {"round", round_filter},
      {"safe", [](Run, V x, A) { return x; }},
      {"select", [](Run r, V x, A a) { return selected(r, x, a, false, true); }},
      {"selectattr", [](Run r, V x, A a) { return selected(r, x, a, true, true); }},
      {"sort", sort_filter},
      {"string", [](Run, V x, A) { return Value::of(text_of(x)); }},
      {"title", title_filter},
      {"tojson", json_filter},
      {"trim",
       [](Run, V x, A a) { return Value::of(trimmed(text_of(x), true, true, a.get(0, "chars"))); }},
      {"unique", unique_filter},
      {"upper", [](Run, V x, A) { return Value::of(with_case(text_of(x), LetterCase::kUpper)); }},
  };
  return all;
}

}  // namespace

Value apply_filter(Interpreter& run, const std::string& name, const Value& value,
                   const Arguments& arguments) {
  const auto it = filters().find(name);
  check(it != filters().end(), ErrorCode::kUnimplemented,
        "chat template: there is no filter '" + name + "'");
  return it->second(run, value, arguments);
}

bool apply_test(Interpreter&, const std::string& name, const Value& value,
                const Arguments& arguments) {
  const auto remainder =
      [&](double divisor) {  // its sign does not matter where it is compared with 0 or 1
        if (!value.is_number()) template_error(name + " of " + value.kind());
        if (value.is_float()) return std::fabs(std::fmod(value.as_float(), divisor));
        return static_cast<double>(std::abs(value.as_int() % static_cast<int64_t>(divisor)));
      };
  const Value other = arguments.get(0);
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.is_string();
  if (name == "mapping") return value.is_dict();
  if (name == "iterable" || (name == "sequence" && !value.is_lazy()))
    return value.is_string() || value.is_list() || value.is_dict() || value.is_undefined();
  if (name == "sequence") return false;
  if (name == "number") return value.is_number();
  if (name == "integer") return value.is_int();
  if (name == "float") return value.is_float();
  if (name == "boolean") return value.is_bool();
  if (name == "true") return value.is_bool() && value.as_bool();
  if (name == "false") return value.is_bool() && !value.as_bool();
  if (name == "callable") return value.is_callable() || value.is_undefined();
  if (name == "odd") return remainder(2) == 1;
  if (name == "even") return remainder(2) == 0;
  if (name == "divisibleby") {
    if (!other.is_int() || other.as_int() == 0) template_error("divisibleby: expected a number");
    const int64_t divisor = std::max(other.as_int(), -INT64_MAX);
    return (divisor == 1 || divisor == -1) && !value.is_float()
               ? value.is_number()
               : remainder(static_cast<double>(divisor)) == 0;
  }
  if (name == "equalto" || name == "eq" || name == "==") return value.equals(other);
  if (name == "sameas")
    return value.kind() == std::string_view(other.kind()) && value.equals(other);
  if (name == "ne" || name == "!=") return !value.equals(other);
  if (name == "lt" || name == "lessthan" || name == "<") return compare(value, other) < 0;
  if (name == "le" || name == "<=") return compare(value, other) <= 0;
  if (name == "gt" || name == "greaterthan" || name == ">") return compare(value, other) > 0;
  if (name == "ge" || name == ">=") return compare(value, other) >= 0;
  if (name == "in") {
    if (other.is_string()) return other.bytes().find(value.str().bytes) != std::string::npos;
    if (other.is_dict()) return value.is_string() && other.find(value.bytes()) != nullptr;
    return other.is_list() && std::any_of(other.items().begin(), other.items().end(),
                                          [&](const Value& x) { return x.equals(value); });
  }
  if (name == "lower" || name == "upper") {
    const auto letter_case = name == "lower" ? LetterCase::kLower : LetterCase::kUpper;
    const Text text = value.str();
    const Text opposite =
        with_case(text, name == "lower" ? LetterCase::kUpper : LetterCase::kLower);
    return with_case(text, letter_case).bytes == text.bytes && opposite.bytes != text.bytes;
  }
  throw Error(ErrorCode::kUnimplemented, "chat template: there is no test '" + name + "'");
}

}  // namespace lv::llm
