#include "llm/generate/stop_filter.h"

#include <algorithm>
#include <utility>

namespace lv::llm {

StopFilter::StopFilter(const std::vector<std::string>& stop) {
  std::copy_if(stop.begin(), stop.end(), std::back_inserter(stop_),
               [](const std::string& word) { return !word.empty(); });
}

std::string StopFilter::push(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  size_t first = std::string::npos;
  for (const std::string& word : stop_) first = std::min(first, held_.find(word));
  if (first != std::string::npos) {
    stopped_ = true;
    held_.resize(first);
    return std::exchange(held_, {});
  }
  // The longest end of the text that begins a stop word.
  size_t open = 0;
  for (const std::string& word : stop_) {
    for (size_t n = std::min(word.size() - 1, held_.size()); n > open; --n) {
      if (std::string_view(held_).ends_with(std::string_view(word).substr(0, n))) open = n;
    }
  }
  // A stop word may begin inside a character; what is handed out ends between characters.
  size_t certain = held_.size() - open;
  while (certain > 0 && certain < held_.size() &&
         (static_cast<unsigned char>(held_[certain]) & 0xC0) == 0x80) {
    --certain;
  }
  std::string ready = held_.substr(0, certain);
  held_.erase(0, certain);
  return ready;
}

std::string StopFilter::finish() { return std::exchange(held_, {}); }

}  // namespace lv::llm
