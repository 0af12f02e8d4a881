#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

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

}  // namespace lv
