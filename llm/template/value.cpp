#include "llm/template/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxBytes = 128 << 20;

/// Adds what one more item holds to the extent of a list or dictionary.
void add_item(Value::Extent& whole, const Value::Extent& item) {
  whole.depth = std::max(whole.depth, 1 + item.depth);
  check(whole.depth <= kMaxDepth, ErrorCode::kResourceExhausted,
        "chat template: values are nested more than " + std::to_string(kMaxDepth) + " deep");
  whole.bytes += item.bytes;
  check(whole.bytes <= kMaxBytes, ErrorCode::kResourceExhausted,
        "chat template: a value of more than 128 MiB");
}

std::string float_text(double x) {
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  char buffer[40];
  const double size = std::fabs(x);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = plain ? std::to_chars(buffer, buffer + 40, x, std::chars_format::fixed)
                         : std::to_chars(buffer, buffer + 40, x, std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

bool needs_double_quotes(std::string_view text) {
  return text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
}

void append_quoted(Text& out, const Text& text, char quote) {
  out.append(std::string(1, quote), kTemplate);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes[i];
    const char escaped[] = {'\\', c};
    std::string_view written(escaped + 1, 1);
    if (c == '\n') written = "\\n";
    if (c == '\t') written = "\\t";
    if (c == '\r') written = "\\r";
    if (c == '\\' || c == quote) written = {escaped, 2};
    out.append(written, text.origin[i]);
  }
  out.append(std::string(1, quote), kTemplate);
}

void append_json_string(Text& out, const Text& text) {
  out.append("\"", kTemplate);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes[i];
    const char pair[] = {'\\', c};
    char code[8];
    std::string_view written(pair + 1, 1);
    switch (c) {
      case '"':
      case '\\':
        written = {pair, 2};
        break;
      case '\n':
        written = "\\n";
        break;
      case '\r':
        written = "\\r";
        break;
      case '\t':
        written = "\\t";
        break;
      case '\b':
        written = "\\b";
        break;
      case '\f':
        written = "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
          written = code;
        }
    }
    out.append(written, text.origin[i]);
  }
  out.append("\"", kTemplate);
}

void append_line(Text& out, int indent, int level) {
  if (indent < 0) return;
  out.append("\n", kTemplate);
  out.append(std::string(static_cast<size_t>(indent * level), ' '), kTemplate);
}

}  // namespace

Value Arguments::get(size_t index, std::string_view name) const {
  for (const auto& [key, value] : named) {
    if (key == name) return value;
  }
  return index < positional.size() ? positional[index] : Value();
}
bool Arguments::has(size_t index, std::string_view name) const {
  if (index < positional.size()) return true;
  return std::any_of(named.begin(), named.end(),
                     [&](const auto& arg) { return arg.first == name; });
}

Value Value::of(Text x) { return Value(Variant(std::make_shared<const Text>(std::move(x)))); }
Value Value::of(List x, bool tuple) {
  Sequence sequence{std::move(x), {1, sizeof(Value)}, tuple, false};
  for (const Value& item : sequence.items) add_item(sequence.extent, item.extent());
  return Value(Variant(std::make_shared<const Sequence>(std::move(sequence))));
}
Value Value::lazy(List x) {
  Value value = of(std::move(x));
  Sequence sequence = *std::get<SequencePtr>(value.value_);
  sequence.lazy = true;
  return Value(Variant(std::make_shared<const Sequence>(std::move(sequence))));
}
Value Value::of(Dict x) {
  Mapping mapping{std::move(x), {1, sizeof(Value)}};
  for (const auto& [key, item] : mapping.members) {
    add_item(mapping.extent, {0, key.size()});
    add_item(mapping.extent, item.extent());
  }
  return Value(Variant(std::make_shared<const Mapping>(std::move(mapping))));
}
Value Value::of(Function x) {
  return Value(Variant(std::make_shared<const Function>(std::move(x))));
}
Value Value::content(Text x) {
  Value value = of(std::move(x));
  value.content_ = true;
  return value;
}

Value Value::from_json(const Json& json) {
  if (json.is_null()) return none();
  if (json.is_bool()) return of(json.as_bool());
  if (json.is_int()) return of(json.as_int());
  if (json.is_number()) return of(json.as_double());
  if (json.is_string()) return of(json.as_string(), kUser);
  if (json.is_array()) {
    List items;
    for (const Json& item : json.as_array()) items.push_back(from_json(item));
    return of(std::move(items));
  }
  Dict members;
  for (const auto& [key, member] : json.as_object())
    members.emplace_back(Text(key, kUser), from_json(member));
  return of(std::move(members));
}

int64_t Value::as_int() const {
  if (is_bool()) return as_bool() ? 1 : 0;
  return std::get<int64_t>(value_);
}
double Value::as_float() const {
  return is_float() ? std::get<double>(value_) : static_cast<double>(as_int());
}
Namespace* Value::name_space() const {
  Namespace* const* found = std::get_if<Namespace*>(&value_);
  return found != nullptr ? *found : nullptr;
}

Value::Extent Value::extent() const {
  if (is_list()) return std::get<SequencePtr>(value_)->extent;
  if (is_dict()) return std::get<MappingPtr>(value_)->extent;
  return {0, sizeof(Value) + (is_string() ? text().size() : 0)};
}

const Value* Value::find(std::string_view key) const {
  if (const Namespace* space = name_space()) {
    const auto it = space->members.find(key);
    return it == space->members.end() ? nullptr : &it->second;
  }
  if (!is_dict()) return nullptr;
  for (const auto& [name, member] : members()) {
    if (name.bytes == key) return &member;
  }
  return nullptr;
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_float()) return as_float() != 0;
  if (is_number()) return as_int() != 0;
  if (is_string()) return !bytes().empty();
  if (is_list()) return !items().empty() || std::get<SequencePtr>(value_)->lazy;
  if (is_dict()) return !members().empty();
  return true;
}

bool Value::equals(const Value& other) const {
  if (is_lazy() || other.is_lazy()) return false;
  if (is_number() && other.is_number()) {
    if (is_float() || other.is_float()) return as_float() == other.as_float();
    return as_int() == other.as_int();
  }
  if (value_.index() != other.value_.index()) return false;
  if (is_undefined() || is_none()) return true;
  if (is_string()) return bytes() == other.bytes();
  if (is_list()) {
    return is_tuple() == other.is_tuple() &&
           std::equal(items().begin(), items().end(), other.items().begin(), other.items().end(),
                      [](const Value& a, const Value& b) { return a.equals(b); });
  }
  if (is_dict()) {
    if (members().size() != other.members().size()) return false;
    return std::all_of(members().begin(), members().end(), [&](const auto& member) {
      const Value* found = other.find(member.first.bytes);
      return found != nullptr && found->equals(member.second);
    });
  }
  return value_ == other.value_;
}

const char* Value::kind() const {
  if (is_undefined()) return "an undefined value";
  if (is_none()) return "none";
  if (is_bool()) return "a boolean";
  if (is_number()) return "a number";
  if (is_string()) return "a string";
  if (is_list()) return "a list";
  if (is_dict()) return "a dictionary";
  return is_callable() ? "a function" : "a namespace";
}

Text Value::str() const {
  if (is_string()) return text();
  if (is_undefined()) return {};
  return repr();
}

Text Value::repr() const {
  Text out;
  if (is_string()) {
    append_quoted(out, text(), needs_double_quotes(bytes()) ? '"' : '\'');
  } else if (is_list()) {
    out.append(is_tuple() ? "(" : "[", kTemplate);
    for (size_t i = 0; i < items().size(); ++i) {
      if (i > 0) out.append(", ", kTemplate);
      out.append(items()[i].repr());
    }
    if (is_tuple() && items().size() == 1) out.append(",", kTemplate);
    out.append(is_tuple() ? ")" : "]", kTemplate);
  } else if (is_dict()) {
    out.append("{", kTemplate);
    for (size_t i = 0; i < members().size(); ++i) {
      if (i > 0) out.append(", ", kTemplate);
      append_quoted(out, members()[i].first,
                    needs_double_quotes(members()[i].first.bytes) ? '"' : '\'');
      out.append(": ", kTemplate);
      out.append(members()[i].second.repr());
    }
    out.append("}", kTemplate);
  } else if (is_bool()) {
    out.append(as_bool() ? "True" : "False", kTemplate);
  } else if (is_float()) {
    out.append(float_text(as_float()), kTemplate);
  } else if (is_int()) {
    out.append(std::to_string(as_int()), kTemplate);
  } else {
    out.append(is_none() ? "None" : is_undefined() ? "Undefined" : "<object>", kTemplate);
  }
  return out;
}

Text Value::json(const JsonStyle& style) const {
  Text out;
  write_json(out, style, 0);
  return out;
}

void Value::write_json(Text& out, const JsonStyle& style, int level) const {
  if (is_string()) {
    append_json_string(out, text());
  } else if (is_bool()) {
    out.append(as_bool() ? "true" : "false", kTemplate);
  } else if (is_none()) {
    out.append("null", kTemplate);
  } else if (is_number()) {
    out.append(repr());
  } else if (is_list()) {
    out.append("[", kTemplate);
    for (size_t i = 0; i < items().size(); ++i) {
      if (i > 0) out.append(style.between_items, kTemplate);
      append_line(out, style.indent, level + 1);
      items()[i].write_json(out, style, level + 1);
    }
    if (!items().empty()) append_line(out, style.indent, level);
    out.append("]", kTemplate);
  } else if (is_dict()) {
    Dict sorted;
    if (style.sort_keys) {
      sorted = members();
      std::stable_sort(sorted.begin(), sorted.end(),
                       [](const auto& a, const auto& b) { return a.first.bytes < b.first.bytes; });
    }
    const Dict& all = style.sort_keys ? sorted : members();
    out.append("{", kTemplate);
    for (size_t i = 0; i < all.size(); ++i) {
      if (i > 0) out.append(style.between_items, kTemplate);
      append_line(out, style.indent, level + 1);
      append_json_string(out, all[i].first);
      out.append(style.behind_key, kTemplate);
      all[i].second.write_json(out, style, level + 1);
    }
    if (!all.empty()) append_line(out, style.indent, level);
    out.append("}", kTemplate);
  } else {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("chat template: ") + kind() + " cannot be written as JSON");
  }
}

int compare(const Value& left, const Value& right) {
  const auto sign = [](auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; };
  if (left.is_number() && right.is_number()) {
    if (left.is_float() || right.is_float()) return sign(left.as_float(), right.as_float());
    return sign(left.as_int(), right.as_int());
  }
  if (left.is_string() && right.is_string()) return sign(left.bytes(), right.bytes());
  if (left.is_list() && right.is_list()) {
    const auto &a = left.items(), &b = right.items();
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!a[i].equals(b[i])) return compare(a[i], b[i]);
    }
    return sign(a.size(), b.size());
  }
  throw Error(ErrorCode::kInvalidArgument, std::string("chat template: ") + left.kind() + " and " +
                                               right.kind() + " have no order");
}

}  // namespace lv::llm
