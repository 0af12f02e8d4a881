#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/kernels/layer_norm.h"

namespace lv {

/// x / sqrt(mean(x^2) + eps) over the last dimension, in float32, cast back, times weight: x
/// [..., D], weight [D] (Zhang and Sennrich, NeurIPS 2019). One pass over each row in float32 on a
/// CPU; on a GPU one kernel for float32, float16 and bfloat16 and D a multiple of 8 up to 8192;
/// elsewhere rms_norm_reference().
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// x + delta and its norm, both [..., D], likewise.
SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                        double eps);

/// The same by operators of LibTorch, one after the other.
at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double eps);

}  // namespace lv
