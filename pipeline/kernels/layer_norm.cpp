#include "pipeline/kernels/layer_norm.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

constexpr int64_t kMaxWidth = 8192;

bool kernel_norms(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t width = x.size(-1);
  return kernels_take(x) && weight.scalar_type() == x.scalar_type() &&
         bias.scalar_type() == x.scalar_type() && width % 8 == 0 && width <= kMaxWidth;
}

void check_widths(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  check_shape(weight, "weight", {x.size(-1)});
  check_shape(bias, "bias", {x.size(-1)});
}

}  // namespace

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps) {
  check_widths(x, weight, bias);
  if (!kernel_norms(x, weight, bias)) {
    return at::layer_norm(x, weight.sizes(), weight, bias, eps);
  }
  at::Tensor norm = at::empty_like(x);
  launch_add_layer_norm(
      {x.const_data_ptr(), nullptr, weight.const_data_ptr(), bias.const_data_ptr(), nullptr,
       norm.mutable_data_ptr(), *element_of(x.scalar_type()), x.numel() / x.size(-1), x.size(-1),
       static_cast<float>(eps)},
      current_stream(x));
  return norm;
}

SumAndNorm add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                          const at::Tensor& bias, double eps) {
  check(delta.sizes() == x.sizes(), ErrorCode::kInvalidArgument,
        "delta: expected " + shape_text(x.sizes()) + ", got " + shape_text(delta.sizes()));
  check_widths(x, weight, bias);
  const bool alike = kernels_take(delta) && delta.scalar_type() == x.scalar_type();
  if (!kernel_norms(x, weight, bias) || !alike) {
    return add_layer_norm_reference(x, delta, weight, bias, eps);
  }
  SumAndNorm out{at::empty_like(x), at::empty_like(x)};
  launch_add_layer_norm(
      {x.const_data_ptr(), delta.const_data_ptr(), weight.const_data_ptr(), bias.const_data_ptr(),
       out.sum.mutable_data_ptr(), out.norm.mutable_data_ptr(), *element_of(x.scalar_type()),
       x.numel() / x.size(-1), x.size(-1), static_cast<float>(eps)},
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
