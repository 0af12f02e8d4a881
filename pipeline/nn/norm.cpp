#include "pipeline/nn/norm.h"

#include <ATen/ATen.h>

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

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true).add_(eps_));
  return (wide * scale).to(x.scalar_type()).mul_(weight_);
}

}  // namespace lv
