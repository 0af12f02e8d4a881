#include "pipeline/kernels/on_device.h"

#include <ATen/ATen.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

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

namespace {

template <typename T>
at::Tensor sent_numbers(std::span<const T> numbers, at::Device device) {
  const auto count = static_cast<int64_t>(numbers.size());
  auto options = at::TensorOptions(c10::CppTypeToScalarType<T>::value);
  if (!device.is_cpu()) options = options.pinned_memory(true);
  at::Tensor here = at::empty({count}, options);
  std::copy(numbers.begin(), numbers.end(), here.mutable_data_ptr<T>());
  return here.to(device, /*non_blocking=*/true);
}

}  // namespace

at::Tensor sent(std::span<const int32_t> numbers, at::Device device) {
  return sent_numbers(numbers, device);
}

at::Tensor sent(std::span<const int64_t> numbers, at::Device device) {
  return sent_numbers(numbers, device);
}

}  // namespace lv
