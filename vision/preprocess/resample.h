#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv::vision {

enum class Filter { kBox, kBilinear, kHamming, kBicubic, kLanczos };

/// The filter that Pillow and preprocessor_config.json number so: 1 Lanczos, 2 bilinear, 3 bicubic,
/// 4 box, 5 Hamming. Throws kUnimplemented on 0, nearest, and kInvalidArgument on others.
Filter filter_from_pillow(int64_t number);

/// A part of a picture, in pixels from its upper left corner. Edges may lie between pixels.
struct PixelBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// Scales a picture as Pillow's Image.resize does, equal to it bit for bit.
///
/// [H, W, C] uint8 -> [height, width, C], C from 1 to 4; rows may be strided, so a crop needs no
/// copy. Shrinking widens the filter, so nothing aliases. One axis after the other, rounded to 8
/// bits between them; an axis whose size stays is left alone. The order is that of Pillow 13: the
/// height first where it shrinks by more than twice the pixels that the width loses, else the
/// width. Pillow up to 12 always takes the width first; single pixels then differ by a few levels.
/// A picture on a GPU becomes the same there; throws kUnimplemented in a build without kernels.
at::Tensor resample(const at::Tensor& picture, int64_t height, int64_t width, Filter filter);

/// The same for a part of the picture. The filter reads beyond the part's edges, as Pillow's does
/// with `box`; to keep outside pixels out, crop first.
at::Tensor resample(const at::Tensor& picture, const PixelBox& box, int64_t height, int64_t width,
                    Filter filter);

}  // namespace lv::vision
