#include "pipeline/kernels/quick_gelu.h"

#include <ATen/ATen.h>

#include "pipeline/kernels/on_device.h"

namespace lv {

at::Tensor quick_gelu(at::Tensor x) {
  if (!kernels_take(x) || x.numel() % 8 != 0) return quick_gelu_reference(x);
  launch_quick_gelu(x.mutable_data_ptr(), *element_of(x.scalar_type()), x.numel(),
                    current_stream(x));
  return x;
}

at::Tensor quick_gelu_reference(const at::Tensor& x) { return x * at::sigmoid(x * 1.702); }

}  // namespace lv
