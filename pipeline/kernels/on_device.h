#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>

#include "pipeline/kernels/launch.h"

namespace lv {

/// The type as kernels call it; nothing for one that they do not take.
std::optional<Element> element_of(at::ScalarType dtype);

/// Whether kernels can read the tensor as a dense row of elements: on a GPU that this build has
/// kernels for, contiguous, of a type that they take, and aligned.
bool kernels_take(const at::Tensor& tensor);

/// The stream of this thread on the tensor's device, where work on the tensor belongs: a
/// cudaStream_t. Only for tensors on a GPU.
void* current_stream(const at::Tensor& tensor);

/// A tensor on `device` with these numbers, on the way there while the caller goes on: nothing
/// waits, neither the caller nor what the device computes already.
at::Tensor sent(std::span<const int32_t> numbers, at::Device device);
at::Tensor sent(std::span<const int64_t> numbers, at::Device device);

}  // namespace lv
