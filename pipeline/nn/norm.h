#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/kernels/layer_norm.h"
#include "pipeline/weights/checkpoint.h"

namespace lv {

/// (x - mean) / sqrt(var + eps) * weight + bias over the last dimension. Reads `weight` and `bias`.
/// Immutable.
class LayerNorm {
 public:
  LayerNorm(const WeightScope& scope, int64_t width, double eps);
  at::Tensor operator()(const at::Tensor& x) const;
  /// x + delta and its norm; x itself and its norm if `delta` is undefined.
  SumAndNorm of_sum(const at::Tensor& x, const at::Tensor& delta) const;

 private:
  at::Tensor weight_, bias_;  // [width]
  double eps_;
};

/// x / sqrt(mean(x^2) + eps), in float32, cast back, times weight. Reads `weight`. Immutable.
/// Reference: Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019.
class RmsNorm {
 public:
  RmsNorm(const WeightScope& scope, int64_t width, double eps);
  at::Tensor operator()(const at::Tensor& x) const;
  /// As LayerNorm's.
  SumAndNorm of_sum(const at::Tensor& x, const at::Tensor& delta) const;

 private:
  at::Tensor weight_;  // [width]
  double eps_;
};

}  // namespace lv
