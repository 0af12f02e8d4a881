#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "pipeline/base/json.h"

namespace lv::vision {

/// A picture in the middle of a square.
struct SquarePicture {
  at::Tensor pixels;  // [S, S, 3] uint8
  at::Tensor box;     // [4], as in ProcessedPicture
};

/// [H, W, 3] uint8 with `colour` on both sides of the shorter axis; one more row or column below or
/// at the right where the rest is odd.
/// Reference: Liu et al., Improved Baselines with Visual Instruction Tuning, CVPR 2024; as in
/// transformers' LlavaImageProcessor.
SquarePicture on_square(const at::Tensor& picture, const std::array<uint8_t, 3>& colour);

/// `image_mean` of a processor's configuration as bytes, rounded down; black without one.
std::array<uint8_t, 3> mean_colour(const Json& config);

}  // namespace lv::vision
