#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {

/// Of the canvases that a picture may be scaled into, the one that keeps most of its pixels, then
/// the one that wastes fewest of its own; the first of equals. There must be one at least.
/// Reference: Li et al., LLaVA-OneVision: Easy Visual Task Transfer, 2024, section 3.2.
PictureSize best_canvas(PictureSize picture, const std::vector<PictureSize>& canvases);

/// A canvas cut into tiles, row by row.
struct CanvasTiles {
  std::vector<at::Tensor> pictures;  // each [S, S, 3] uint8
  std::vector<at::Tensor> boxes;     // each [4], as in ProcessedPicture
  PatchGrid grid;
};

/// The picture [H, W, 3] uint8, scaled as large as it fits, in the middle of a black canvas, cut
/// into tiles of `side` pixels, of which the canvas's sides are multiples.
CanvasTiles tiles_on_canvas(const at::Tensor& picture, PictureSize canvas, int64_t side,
                            Filter filter);

}  // namespace lv::vision
