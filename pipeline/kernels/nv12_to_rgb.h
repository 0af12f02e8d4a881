#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

/// How luma and chroma become RGB: with y = (Y - y_offset) y_scale, red is y + r_v V,
/// green y + g_u U + g_v V and blue y + b_u U. All in levels of 0 to 255, U and V around 0.
struct YuvToRgb {
  float y_offset = 16, y_scale = 0;
  float r_v = 0, g_u = 0, g_v = 0, b_u = 0;
};

/// A picture as video decoders of GPUs leave it, to [H, W, 3] uint8: luma [H, W] and chroma
/// [(H + 1) / 2, (W + 1) / 2, 2] (U, V), uint8, or uint16 of which the upper bits count (NV12,
/// P010). Rows may be strided. Chroma lies in the middle of four pixels and is brought to their
/// places by the bicubic filter of swscale (B = 0, C = 0.6), edges repeated.
/// On a GPU one kernel; elsewhere nv12_to_rgb_reference(). Throws kInvalidArgument on other shapes
/// and types.
at::Tensor nv12_to_rgb(const at::Tensor& luma, const at::Tensor& chroma, const YuvToRgb& how);

/// The same by operators of LibTorch.
at::Tensor nv12_to_rgb_reference(const at::Tensor& luma, const at::Tensor& chroma,
                                 const YuvToRgb& how);

}  // namespace lv
