#include "vision/compressors/multihead_attention.h"

#include <ATen/ATen.h>

namespace lv::vision {

MultiheadAttention::MultiheadAttention(const WeightScope& scope, int64_t width, int64_t heads)
    : heads_(heads), out_(scope / "out_proj", width, width) {
  const at::Tensor weight = scope.get("in_proj_weight", {3 * width, width});
  const at::Tensor bias = scope.get("in_proj_bias", {3 * width});
  for (int64_t i = 0; i < 3; ++i) {
    in_.emplace_back(weight.narrow(0, i * width, width), bias.narrow(0, i * width, width));
  }
}

at::Tensor MultiheadAttention::operator()(const at::Tensor& queries, const at::Tensor& keys) const {
  const auto split = [this](const at::Tensor& x) {
    return x.view({1, x.size(0), heads_, -1}).transpose(1, 2);  // [1, H, n, Dh]
  };
  const at::Tensor mixed = at::scaled_dot_product_attention(
      split(in_[0](queries)), split(in_[1](keys)), split(in_[2](keys)));
  return out_(mixed.transpose(1, 2).reshape(queries.sizes()));
}

}  // namespace lv::vision
