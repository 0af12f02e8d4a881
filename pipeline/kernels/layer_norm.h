#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

/// Layer norm over the last dimension: x [..., D]; weight and bias [D] of its type. Mean and
/// variance in float32. On a GPU one kernel for float32, float16 and bfloat16 and D a multiple of 8
/// up to 8192; elsewhere LibTorch's.
at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      double eps);

struct SumAndNorm {
  at::Tensor sum, norm;  // [..., D]
};

/// x + delta and its layer norm, both [..., D]: the same kernel, which reads x and delta once;
/// elsewhere add_layer_norm_reference().
SumAndNorm add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                          const at::Tensor& bias, double eps);

/// The same by operators of LibTorch, one after the other.
SumAndNorm add_layer_norm_reference(const at::Tensor& x, const at::Tensor& delta,
                                    const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace lv
