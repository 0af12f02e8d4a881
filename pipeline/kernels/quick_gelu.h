#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

/// x sigmoid(1.702 x), CLIP's approximation of GELU (Hendrycks and Gimpel 2016, section 2). `x` is
/// given away: a GPU writes the result over it, in one kernel that computes in float32, if it is
/// contiguous and a multiple of 8 elements of float32, float16 or bfloat16. Elsewhere
/// quick_gelu_reference().
at::Tensor quick_gelu(at::Tensor x);

/// The same by operators of LibTorch, which leave `x` alone.
at::Tensor quick_gelu_reference(const at::Tensor& x);

}  // namespace lv
