#include "pipeline/kernels/add_layer_norm.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv {

SumAndNorm add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                          const at::Tensor& bias, double eps) {
  const int64_t width = x.size(-1);
  check(delta.sizes() == x.sizes(), ErrorCode::kInvalidArgument,
        "delta: expected " + shape_text(x.sizes()) + ", got " + shape_text(delta.sizes()));
  check_shape(weight, "weight", {width});
  check_shape(bias, "bias", {width});
  const bool one_type = delta.scalar_type() == x.scalar_type() &&
                        weight.scalar_type() == x.scalar_type() &&
                        bias.scalar_type() == x.scalar_type();
  if (!kernels_take(x) || !kernels_take(delta) || !one_type || width % 8 != 0 || width > 8192) {
    return add_layer_norm_reference(x, delta, weight, bias, eps);
  }
  SumAndNorm out{at::empty_like(x), at::empty_like(x)};
  launch_add_layer_norm(
      {x.const_data_ptr(), delta.const_data_ptr(), weight.const_data_ptr(), bias.const_data_ptr(),
       out.sum.mutable_data_ptr(), out.norm.mutable_data_ptr(), *element_of(x.scalar_type()),
       x.numel() / width, width, static_cast<float>(eps)},
      current_stream(x));
  return out;
}

SumAndNorm add_layer_norm_reference(const at::Tensor& x, const at::Tensor& delta,
                                    const at::Tensor& weight, const at::Tensor& bias, double eps) {
  at::Tensor sum = x + delta;
  at::Tensor norm = at::layer_norm(sum, weight.sizes(), weight, bias, eps);
  return {std::move(sum), std::move(norm)};
}

}  // namespace lv
