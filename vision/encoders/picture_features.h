#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// What is made of pictures of one size.
struct PictureFeatures {
  at::Tensor features;  // [P, whole + rows * columns, D], row by row
  PatchGrid grid;       // the same for every picture
  int64_t whole = 0;    // features before the grid's that stand for all of it: a class token
};

}  // namespace lv::vision
