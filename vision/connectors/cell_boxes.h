#pragma once

#include <ATen/core/Tensor.h>

#include "vision/encoders/picture_features.h"

namespace lv::vision {

/// What each feature of a grid shows of the picture, if the whole grid shows `boxes` [P, 4]:
/// [P, rows * columns, 4], within [0, 1].
at::Tensor cell_boxes(const at::Tensor& boxes, const PatchGrid& grid);

}  // namespace lv::vision
