#include "pipeline/kernels/nv12_to_rgb.h"

#include <ATen/ATen.h>

#include <array>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

void check_planes(const at::Tensor& luma, const at::Tensor& chroma) {
  check_shape(luma, "luma", {-1, -1});
  const bool wide = luma.scalar_type() == at::kUInt16;
  if (!wide) check_dtype(luma, "luma", at::kByte);
  check(luma.numel() > 0, ErrorCode::kInvalidArgument, "luma: expected pixels, got none");
  check_shape(chroma, "chroma", {(luma.size(0) + 1) / 2, (luma.size(1) + 1) / 2, 2});
  check_dtype(chroma, "chroma", luma.scalar_type());
}

/// As levels of 0 to 255.
at::Tensor levels(const at::Tensor& plane) {
  const bool wide = plane.scalar_type() == at::kUInt16;
  return wide ? plane.to(at::kFloat) / 256 : plane.to(at::kFloat);
}

/// Twice as many along dimension `dim`, of which `size` count.
at::Tensor doubled(const at::Tensor& x, int64_t dim, int64_t size) {
  const int64_t count = x.size(dim);
  const at::Tensor places = at::arange(size, at::kLong);
  const at::Tensor first = places.add(1).div(2, "floor") - 2;
  std::vector<int64_t> along(static_cast<size_t>(x.dim()), 1);
  along[static_cast<size_t>(dim)] = size;
  const at::Tensor odd = places.remainder(2).to(at::kBool), third = places == 2;
  at::Tensor sum;
  for (size_t tap = 0; tap < 4; ++tap) {
    const at::Tensor from = (first + static_cast<int64_t>(tap)).clamp(0, count - 1);
    const at::Tensor weights = at::where(third, kThirdChromaTaps[tap],
                                         at::where(odd, kChromaTaps[3 - tap], kChromaTaps[tap]))
                                   .to(at::kFloat);
    const at::Tensor part = x.index_select(dim, from) * weights.view(along);
    sum = tap == 0 ? part : sum + part;
  }
  return sum;
}

}  // namespace

at::Tensor nv12_to_rgb(const at::Tensor& luma, const at::Tensor& chroma, const YuvToRgb& how) {
  check_planes(luma, chroma);
  const bool dense = luma.stride(1) == 1 && chroma.stride(2) == 1 && chroma.stride(1) == 2;
  if (!has_cuda_kernels() || !luma.is_cuda() || !dense) {
    return nv12_to_rgb_reference(luma, chroma, how);
  }
  at::Tensor rgb = at::empty({luma.size(0), luma.size(1), 3}, luma.options().dtype(at::kByte));
  launch_nv12_to_rgb(
      {luma.const_data_ptr(), luma.stride(0), chroma.const_data_ptr(), chroma.stride(0),
       luma.scalar_type() == at::kUInt16, luma.size(0), luma.size(1), how.y_offset, how.y_scale,
       how.r_v, how.g_u, how.g_v, how.b_u, rgb.mutable_data_ptr<uint8_t>()},
      current_stream(luma));
  return rgb;
}

at::Tensor nv12_to_rgb_reference(const at::Tensor& luma, const at::Tensor& chroma,
                                 const YuvToRgb& how) {
  check_planes(luma, chroma);
  const at::Tensor uv =
      doubled(doubled(levels(chroma).cpu(), 1, luma.size(1)).clamp_max(kMostChroma), 0,
              luma.size(0)) -
      128;
  const at::Tensor u = uv.select(2, 0), v = uv.select(2, 1);
  const at::Tensor y = (levels(luma).cpu() - how.y_offset) * how.y_scale;
  const at::Tensor rgb =
      at::stack({y + how.r_v * v, y + how.g_u * u + how.g_v * v, y + how.b_u * u}, 2);
  return (rgb + 0.5).floor().clamp(0, 255).to(at::kByte).to(luma.device());
}

}  // namespace lv
