#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lv {

/// The parts as one text with `between` them; `text_of(part)`, or the member that it points to, is
/// a part's text.
template <class Parts, class Text = std::identity>
std::string joined_text(const Parts& parts, std::string_view between = ", ", Text text_of = {}) {
  std::string all;
  bool first = true;
  for (const auto& part : parts) {
    if (!first) all += between;
    all += std::invoke(text_of, part);
    first = false;
  }
  return all;
}

}  // namespace lv
