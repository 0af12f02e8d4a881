#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/types/page.h"

namespace lv::vision {

/// Words of a page that stand side by side.
struct PageCell {
  std::string text;
  std::array<float, 4> box{};  // around its words, as fractions of the page as it is shown
  int32_t row = 0;             // counted from above; cells of one row stand beside each other
};

/// Words to cells, row by row and each row from where its writing begins. A word belongs to the row
/// whose first word's height it is centred on; words farther apart than 1.2 times their height
/// stand in cells of their own. What is written at another turn makes rows of its own, those of the
/// most words first. `aspect` is the page's width / height.
std::vector<PageCell> cells_of(const std::vector<PageWord>& words, double aspect);

/// The cells as prompts carry them: a line a row, cells parted by " | ".
std::string text_of(const std::vector<PageCell>& cells);

}  // namespace lv::vision
