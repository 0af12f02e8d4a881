#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>

namespace lv::services {

/// The sides, height and width, of a picture made so small that its longest side has
/// `longest_side` pixels; unchanged if it is not longer or `longest_side` is 0.
std::pair<int64_t, int64_t> shrunk_sides(int64_t height, int64_t width, int64_t longest_side);

/// Pictures [T, H, W, 3] uint8 of that size, resampled as Pillow does it bicubically.
at::Tensor shrunk(const at::Tensor& pixels, int64_t longest_side);

}  // namespace lv::services
