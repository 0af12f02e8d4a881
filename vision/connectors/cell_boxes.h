#pragma once

#include <ATen/core/Tensor.h>

#include "vision/encoders/picture_features.h"

namespace lv::vision {

/// What each feature of a grid shows of the picture, if the whole grid shows `boxes` [P, 4]:
/// [P, rows * columns, 4], within [0, 1].
at::Tensor cell_boxes(const at::Tensor& boxes, const PatchGrid& grid);

/// The smallest box around all that each token stands for: boxes of places [P, places, 4] ->
/// [P, n, 4], on the CPU.
at::Tensor merged_boxes(const at::Tensor& boxes, const MergedPlaces& merged);

}  // namespace lv::vision
