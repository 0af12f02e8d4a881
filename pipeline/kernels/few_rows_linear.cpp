#include "pipeline/kernels/few_rows_linear.h"

#include <ATen/ATen.h>

#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

constexpr int64_t kLaneElements = 8;

bool kernel_takes(const at::Tensor& x, const at::Tensor& weight) {
  return x.dim() == 2 && x.size(0) > 0 && x.size(0) <= kMostFewRows && kernels_take(x) &&
         kernels_take(weight) && weight.scalar_type() == x.scalar_type() &&
         x.scalar_type() != at::kFloat && x.size(1) == weight.size(1) &&
         x.size(1) % kLaneElements == 0;
}

}  // namespace

at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& weight) {
  if (!kernel_takes(x, weight)) return at::linear(x, weight);
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options());
  launch_few_rows_linear({x.const_data_ptr(), weight.const_data_ptr(), y.mutable_data_ptr(),
                          *element_of(x.scalar_type()), x.size(0), weight.size(1), weight.size(0)},
                         current_stream(x));
  return y;
}

}  // namespace lv
