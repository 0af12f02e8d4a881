#include "pipeline/kernels/on_device.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace lv {

std::optional<Element> element_of(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return Element::kFloat32;
    case at::kHalf:
      return Element::kFloat16;
    case at::kBFloat16:
      return Element::kBFloat16;
    default:
      return std::nullopt;
  }
}

bool kernels_take(const at::Tensor& tensor) {
  return has_cuda_kernels() && tensor.is_cuda() && tensor.is_contiguous() &&
         element_of(tensor.scalar_type()).has_value() &&
         reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
}

void* current_stream(const at::Tensor& tensor) {
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStreamNativeHandle(device.getStream(tensor.device()));
}

}  // namespace lv
