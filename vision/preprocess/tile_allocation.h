#pragma once

#include <cstdint>
#include <vector>

#include "vision/preprocess/image_processor.h"

namespace lv::vision {

/// How many tiles each picture of a set may be cut into, of `budget` for all, each picture's whole
/// included: as many as its sides hold, fewer in proportion if there are too many. 0 for a picture
/// that one tile holds, and for all if the budget is used up by the wholes.
/// Throws kInvalidArgument on more pictures than the budget.
/// Reference: Jia et al., LEOPARD: A Vision Language Model for Text-Rich Multi-Image Tasks, TMLR
/// 2025, section 3.2; rounding, halves to the even number, as in its published evaluation code.
std::vector<int64_t> allocate_tiles(const std::vector<PictureSize>& pictures, int64_t side,
                                    int64_t budget);

/// The grid of at most `allowance` tiles that keeps most of a picture; none for an allowance of
/// less than two.
PatchGrid tile_grid(PictureSize picture, int64_t allowance, int64_t side);

}  // namespace lv::vision
