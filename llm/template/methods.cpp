#include <algorithm>

#include "llm/template/interpreter.h"
#include "llm/tokenizer/unicode.h"

namespace lv::llm {
namespace {

char32_t character_at(const Text& text, size_t at) { return next_character(text.bytes, at); }

bool strips(const Value& characters, const Text& text, size_t begin, size_t end) {
  if (!characters.is_string()) return is_python_space(character_at(text, begin));
  return characters.bytes().find(text.bytes.substr(begin, end - begin)) != std::string::npos;
}

Value split_at(const Value& object, const Text& separator, int64_t limit) {
  const Text& text = object.text();
  Value::List parts;
  size_t begin = 0;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = text.bytes.find(separator.bytes, begin);
    if (at == std::string::npos) break;
    parts.push_back(Value::of(text.slice(begin, at)));
    begin = at + separator.size();
  }
  parts.push_back(Value::of(text.slice(begin, text.size())));
  return Value::of(std::move(parts));
}

Value split_at_last(const Value& object, const Text& separator, int64_t limit) {
  const Text& text = object.text();
  Value::List parts;
  size_t end = text.size();
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t at = end < separator.size()
                          ? std::string::npos
                          : text.bytes.rfind(separator.bytes, end - separator.size());
    if (at == std::string::npos) break;
    parts.push_back(Value::of(text.slice(at + separator.size(), end)));
    end = at;
  }
  parts.push_back(Value::of(text.slice(0, end)));
  std::reverse(parts.begin(), parts.end());
  return Value::of(std::move(parts));
}

/// Runs of white space part the words; at most `limit` words are cut off.
Value split_words(const Value& object, int64_t limit) {
  const Text& text = object.text();
  const auto starts = character_starts(text);
  Value::List parts;
  for (size_t i = 0; i + 1 < starts.size();) {
    if (is_python_space(character_at(text, starts[i]))) {
      ++i;
      continue;
    }
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(Value::of(trimmed(text.slice(starts[i], text.size()), false, true, Value())));
      break;
    }
    size_t end = i;
    while (end + 1 < starts.size() && !is_python_space(character_at(text, starts[end]))) ++end;
    parts.push_back(Value::of(text.slice(starts[i], starts[end])));
    i = end;
  }
  return Value::of(std::move(parts));
}

Value split(Interpreter& run, const Value& object, const Arguments& given, bool last) {
  const Value separator = given.get(0, "sep"), limit = given.get(1, "maxsplit");
  const int64_t count = limit.is_int() ? limit.as_int() : -1;
  run.charge(object.text().size() * 16);
  if (!separator.is_string()) return split_words(object, count);
  if (separator.bytes().empty()) template_error("split: expected a separator, got ''");
  return last ? split_at_last(object, separator.text(), count)
              : split_at(object, separator.text(), count);
}

bool matches_end(const Value& object, const Value& part, bool start) {
  if (part.is_list()) {
    return std::any_of(part.items().begin(), part.items().end(),
                       [&](const Value& one) { return matches_end(object, one, start); });
  }
  if (!part.is_string()) template_error(std::string("expected a string, got ") + part.kind());
  return start ? object.bytes().starts_with(part.bytes()) : object.bytes().ends_with(part.bytes());
}

Value find(const Value& object, const Arguments& given, bool last) {
  const Value part = given.get(0);
  if (!part.is_string()) template_error(std::string("find: expected a string, got ") + part.kind());
  const std::string& bytes = object.bytes();
  const size_t at = last ? bytes.rfind(part.bytes()) : bytes.find(part.bytes());
  if (at == std::string::npos) return Value::of(int64_t{-1});
  const auto starts = character_starts(object.text());
  return Value::of(std::lower_bound(starts.begin(), starts.end(), at) - starts.begin());
}

Value index(const Value& object, const Arguments& given) {
  const Value at = find(object, given, false);
  if (at.as_int() < 0) template_error("index: the string does not hold the other");
  return at;
}

/// What is before the separator, the separator, what is behind it.
Value partition(const Value& object, const Arguments& given) {
  const Value separator = given.get(0);
  if (!separator.is_string() || separator.bytes().empty())
    template_error("partition: expected a separator");
  const Text& text = object.text();
  const size_t at = text.bytes.find(separator.bytes());
  if (at == std::string::npos)
    return Value::of(Value::List{object, Value::of(""), Value::of("")}, true);
  const size_t end = at + separator.bytes().size();
  return Value::of(
      Value::List{Value::of(text.slice(0, at)), separator, Value::of(text.slice(end, text.size()))},
      true);
}

/// The lines without their ends: all that str.splitlines() takes for one.
Value split_lines(Interpreter& run, const Value& object) {
  const Text& text = object.text();
  run.charge(text.size() * 16);
  Value::List lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    const char32_t c = next_character(text.bytes, i);
    const bool ends = (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && i < text.size() && text.bytes[i] == '\n') ++i;
    lines.push_back(Value::of(text.slice(begin, at)));
    begin = i;
  }
  if (begin < text.size()) lines.push_back(Value::of(text.slice(begin, text.size())));
  return Value::of(std::move(lines));
}

bool only_space(const Text& text) {
  for (size_t i = 0; i < text.size();) {
    if (!is_python_space(next_character(text.bytes, i))) return false;
  }
  return text.size() > 0;
}

/// Whether there are letters of that case and none of the other.
bool is_case(const Text& text, LetterCase letter_case) {
  const LetterCase other =
      letter_case == LetterCase::kLower ? LetterCase::kUpper : LetterCase::kLower;
  return with_case(text, letter_case).bytes == text.bytes &&
         with_case(text, other).bytes != text.bytes;
}

Value count(const Value& object, const Arguments& given) {
  const Value part = given.get(0);
  if (!part.is_string() || part.bytes().empty()) template_error("count: expected a string");
  int64_t found = 0;
  for (size_t at = object.bytes().find(part.bytes()); at != std::string::npos;
       at = object.bytes().find(part.bytes(), at + part.bytes().size()))
    ++found;
  return Value::of(found);
}

Value join(Interpreter& run, const Value& object, const Arguments& given) {
  Text text;
  bool first = true;
  for (const Value& item : run.items_of(given.get(0))) {
    if (!item.is_string())
      template_error(std::string("join: expected strings, got ") + item.kind());
    if (!first) text.append(object.text());
    first = false;
    text.append(item.text());
    run.charge(object.text().size() + item.text().size());
  }
  return Value::of(std::move(text));
}

Value without_end(const Value& object, const Arguments& given, bool start) {
  const Value part = given.get(0);
  const Text& text = object.text();
  if (!part.is_string() || !matches_end(object, part, start)) return object;
  const size_t cut = part.bytes().size();
  return Value::of(start ? text.slice(cut, text.size()) : text.slice(0, text.size() - cut));
}

using Methods = std::map<std::string, Method, std::less<>>;

const Methods& string_methods() {
  using Run = Interpreter&;
  using V = const Value&;
  using A = const Arguments&;
  static const Methods all = {
      {"capitalize",
       [](Run, V x, A) { return Value::of(with_case(x.text(), LetterCase::kCapitalized)); }},
      {"count", [](Run, V x, A a) { return count(x, a); }},
      {"endswith", [](Run, V x, A a) { return Value::of(matches_end(x, a.get(0), false)); }},
      {"find", [](Run, V x, A a) { return find(x, a, false); }},
      {"index", [](Run, V x, A a) { return index(x, a); }},
      {"isdigit",
       [](Run, V x, A) {
         return Value::of(!x.bytes().empty() &&
                          std::all_of(x.bytes().begin(), x.bytes().end(),
                                      [](char c) { return c >= '0' && c <= '9'; }));
       }},
      {"islower", [](Run, V x, A) { return Value::of(is_case(x.text(), LetterCase::kLower)); }},
      {"isspace", [](Run, V x, A) { return Value::of(only_space(x.text())); }},
      {"isupper", [](Run, V x, A) { return Value::of(is_case(x.text(), LetterCase::kUpper)); }},
      {"join", join},
      {"lower", [](Run, V x, A) { return Value::of(with_case(x.text(), LetterCase::kLower)); }},
      {"lstrip", [](Run, V x, A a) { return Value::of(trimmed(x.text(), true, false, a.get(0))); }},
      {"partition", [](Run, V x, A a) { return partition(x, a); }},
      {"removeprefix", [](Run, V x, A a) { return without_end(x, a, true); }},
      {"removesuffix", [](Run, V x, A a) { return without_end(x, a, false); }},
      {"replace",
       [](Run r, V x, A a) {
         const Value limit = a.get(2, "count");
         return Value::of(replaced(r, x.text(), a.get(0).str(), a.get(1).str(),
                                   limit.is_int() ? limit.as_int() : -1));
       }},
      {"rfind", [](Run, V x, A a) { return find(x, a, true); }},
      {"rsplit", [](Run r, V x, A a) { return split(r, x, a, true); }},
      {"rstrip", [](Run, V x, A a) { return Value::of(trimmed(x.text(), false, true, a.get(0))); }},
      {"split", [](Run r, V x, A a) { return split(r, x, a, false); }},
      {"splitlines", [](Run r, V x, A) { return split_lines(r, x); }},
      {"startswith", [](Run, V x, A a) { return Value::of(matches_end(x, a.get(0), true)); }},
      {"strip", [](Run, V x, A a) { return Value::of(trimmed(x.text(), true, true, a.get(0))); }},
      {"title", [](Run, V x, A) { return Value::of(with_case(x.text(), LetterCase::kTitle)); }},
      {"upper", [](Run, V x, A) { return Value::of(with_case(x.text(), LetterCase::kUpper)); }},
  };
  return all;
}

const Methods& dict_methods() {
  using Run = Interpreter&;
  using V = const Value&;
  using A = const Arguments&;
  static const Methods all = {
      {"get",
       [](Run, V x, A a) {
         const Value key = a.get(0);
         const Value* member = key.is_string() ? x.find(key.bytes()) : nullptr;
         if (member != nullptr) return *member;
         return a.has(1, "default") ? a.get(1, "default") : Value::none();
       }},
      {"items", [](Run r, V x, A a) { return Value::of(apply_filter(r, "items", x, a).items()); }},
      {"keys", [](Run r, V x, A) { return Value::of(r.items_of(x)); }},
      {"values",
       [](Run, V x, A) {
         Value::List values;
         for (const auto& [key, member] : x.members()) values.push_back(member);
         return Value::of(std::move(values));
       }},
  };
  return all;
}

}  // namespace

Method find_method(const Value& object, std::string_view name) {
  if (!object.is_string() && !object.is_dict()) return nullptr;
  const Methods& methods = object.is_string() ? string_methods() : dict_methods();
  const auto it = methods.find(name);
  return it == methods.end() ? nullptr : it->second;
}

bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::vector<size_t> character_starts(const Text& text) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text.bytes[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}

Text trimmed(const Text& text, bool left, bool right, const Value& characters) {
  const auto starts = character_starts(text);
  size_t begin = 0, end = starts.size() - 1;
  while (left && begin < end && strips(characters, text, starts[begin], starts[begin + 1])) ++begin;
  while (right && end > begin && strips(characters, text, starts[end - 1], starts[end])) --end;
  return text.slice(starts[begin], starts[end]);
}

Text replaced(Interpreter& run, const Text& text, const Text& from, const Text& to, int64_t limit) {
  Text result;
  size_t at = 0;
  if (from.size() == 0) {  // between all characters, as Python does
    const auto starts = character_starts(text);
    for (size_t i = 0; i < starts.size(); ++i) {
      run.charge(to.size());
      if (limit < 0 || static_cast<int64_t>(i) < limit) result.append(to);
      if (i + 1 < starts.size()) result.append(text.slice(starts[i], starts[i + 1]));
    }
    return result;
  }
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    const size_t found = text.bytes.find(from.bytes, at);
    if (found == std::string::npos) break;
    run.charge(to.size());
    result.append(text.slice(at, found));
    result.append(to);
    at = found + from.size();
  }
  run.charge(text.size());
  result.append(text.slice(at, text.size()));
  return result;
}

Text with_case(const Text& text, LetterCase letter_case) {
  Text result;
  bool in_word = false;
  const auto starts = character_starts(text);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    const std::string character = text.bytes.substr(starts[i], starts[i + 1] - starts[i]);
    const std::string lower = lower_case(character), upper = upper_case(character);
    const bool capital = letter_case == LetterCase::kUpper ||
                         (letter_case == LetterCase::kTitle && !in_word) ||
                         (letter_case == LetterCase::kCapitalized && i == 0);
    result.append(capital ? upper : lower, text.origin[starts[i]]);
    in_word = lower != upper;
  }
  return result;
}

}  // namespace lv::llm
