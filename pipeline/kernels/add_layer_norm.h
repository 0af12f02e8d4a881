#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

struct SumAndNorm {
  at::Tensor sum, norm;  // [..., D]
};

/// x + delta and its layer norm: x, delta [..., D]; weight and bias [D] of their type. Mean and
/// variance in float32. On a GPU one kernel that reads x and delta once, for float32, float16 and
/// bfloat16 and D a multiple of 8 up to 8192; elsewhere add_layer_norm_reference().
SumAndNorm add_layer_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                          const at::Tensor& bias, double eps);

/// The same by operators of LibTorch, one after the other.
SumAndNorm add_layer_norm_reference(const at::Tensor& x, const at::Tensor& delta,
                                    const at::Tensor& weight, const at::Tensor& bias, double eps);

}  // namespace lv
