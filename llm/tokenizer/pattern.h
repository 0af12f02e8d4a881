#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "llm/tokenizer/regex.h"
#include "pipeline/base/json.h"

namespace lv::llm {

/// What Split and Replace look for: {"String": ...} or {"Regex": ...}. Immutable, thread-safe.
class Pattern {
 public:
  explicit Pattern(std::string literal) : rule_(std::move(literal)) {}
  explicit Pattern(Regex regex) : rule_(std::move(regex)) {}

  /// [begin, end) of all matches, in order. An empty literal matches nowhere.
  std::vector<std::pair<size_t, size_t>> find_all(std::string_view text) const;

 private:
  std::variant<std::string, Regex> rule_;
};

/// Throws kInvalidArgument if the description is neither form.
Pattern make_pattern(const Json& description);

}  // namespace lv::llm
