#include "pipeline/nn/norm.h"

#include <ATen/ATen.h>

#include "pipeline/kernels/rms_norm.h"

namespace lv {

LayerNorm::LayerNorm(const WeightScope& scope, int64_t width, double eps)
    : weight_(scope.get("weight", {width})), bias_(scope.get("bias", {width})), eps_(eps) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return layer_norm(x, weight_, bias_, eps_);
}

SumAndNorm LayerNorm::of_sum(const at::Tensor& x, const at::Tensor& delta) const {
  if (!delta.defined()) return {x, (*this)(x)};
  return add_layer_norm(x, delta, weight_, bias_, eps_);
}

RmsNorm::RmsNorm(const WeightScope& scope, int64_t width, double eps)
    : weight_(scope.get("weight", {width})), eps_(eps) {}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const { return rms_norm(x, weight_, eps_); }

SumAndNorm RmsNorm::of_sum(const at::Tensor& x, const at::Tensor& delta) const {
  if (!delta.defined()) return {x, (*this)(x)};
  return add_rms_norm(x, delta, weight_, eps_);
}

}  // namespace lv
