#pragma once

#include <array>
#include <string>

namespace lv {

/// A word on a page, from its text layer or recognised.
struct PageWord {
  std::string text;
  std::array<float, 4> box{};  // x0 y0 x1 y1 as fractions of the page as it is shown
  int turn = 0;                // quarter turns clockwise from upright to how it is written, 0 to 3
};

}  // namespace lv
