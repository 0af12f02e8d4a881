#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lv::llm {

/// Cuts a growing text before the first stop word. Text that could still become one is held back.
/// Not thread-safe.
class StopFilter {
 public:
  /// Empty stop words are ignored.
  explicit StopFilter(const std::vector<std::string>& stop);

  /// The text that is certain after `text` has come, possibly none.
  std::string push(std::string_view text);
  /// What was held back, at the end of a text without a stop word.
  std::string finish();

  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stop_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace lv::llm
