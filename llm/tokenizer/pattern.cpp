#include "llm/tokenizer/pattern.h"

#include "pipeline/base/error.h"

namespace lv::llm {

std::vector<std::pair<size_t, size_t>> Pattern::find_all(std::string_view text) const {
  if (const auto* regex = std::get_if<Regex>(&rule_)) return regex->find_all(text);
  const std::string& literal = std::get<std::string>(rule_);
  std::vector<std::pair<size_t, size_t>> found;
  if (literal.empty()) return found;
  for (size_t at = text.find(literal); at != std::string_view::npos;) {
    found.emplace_back(at, at + literal.size());
    at = text.find(literal, at + literal.size());
  }
  return found;
}

Pattern make_pattern(const Json& description) {
  if (const Json* literal = description.find("String")) return Pattern(literal->as_string());
  if (const Json* regex = description.find("Regex")) return Pattern(Regex(regex->as_string()));
  throw Error(ErrorCode::kInvalidArgument,
              "pattern: expected {\"String\": ...} or {\"Regex\": ...}, got " +
                  description.dump().substr(0, 80));
}

}  // namespace lv::llm
