#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "pipeline/types/visual_tokens.h"
#include "vision/encoders/layer_merging.h"

namespace lv::vision {

/// What is made of pictures of one size.
struct PictureFeatures {
  at::Tensor features;  // [P, whole + rows * columns, D], row by row; [P, n, D] once merged
  PatchGrid grid;       // the same for every picture
  int64_t whole = 0;    // features before the grid's that stand for all of it: a class token
  /// Where each of the whole + rows * columns places went, if tokens merged and left the grid.
  std::optional<MergedPlaces> merged = {};
  /// [P, whole + rows * columns] float32: the share of the last layer's attention that each place
  /// got, as the mean over heads, from the class token or, without one, from all places. Undefined
  /// unless it was asked for.
  at::Tensor saliency = {};
};

/// Without what stands for all of a picture.
PictureFeatures without_whole(const PictureFeatures& pictures);

/// Pictures [first, first + count).
PictureFeatures narrowed(const PictureFeatures& pictures, int64_t first, int64_t count);

/// Pictures of several batches as one: of one size, merged alike.
PictureFeatures joined(const std::vector<PictureFeatures>& batches);

/// The features of each square of side x side places side by side, squares row by row:
/// [P, rows * columns, D] -> [P, rows * columns / side^2, side^2 D], places of a square row by row.
/// Both sides of the grid must be multiples of `side`.
at::Tensor in_squares(const at::Tensor& features, PatchGrid grid, int64_t side);

/// The same of pictures, with the grid that is left. Throws kInvalidArgument on a grid of no whole
/// squares.
PictureFeatures squares_of(const PictureFeatures& pictures, int64_t side);

}  // namespace lv::vision
