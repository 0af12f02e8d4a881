#include "vision/compressors/decoder_layer.h"

#include <ATen/ATen.h>

namespace lv::vision {
namespace {

constexpr double kEps = 1e-5;

}  // namespace

DecoderLayer::DecoderLayer(const WeightScope& scope, int64_t width, int64_t heads, Norms norms,
                           Activation activation)
    : norms_(norms),
      activation_(activation),
      norm1_(scope / "norm1", width, kEps),
      norm2_(scope / "norm2", width, kEps),
      norm3_(scope / "norm3", width, kEps),
      among_(scope / "self_attn", width, heads),
      across_(scope / "multihead_attn", width, heads),
      linear1_(scope / "linear1", width, scope.shape("linear1.weight").at(0)),
      linear2_(scope / "linear2", scope.shape("linear1.weight").at(0), width) {}

at::Tensor DecoderLayer::feed_forward(const at::Tensor& x) const {
  return linear2_(activation_(linear1_(x)));
}

at::Tensor DecoderLayer::operator()(at::Tensor x, const at::Tensor& seen) const {
  if (norms_ == Norms::kBehind) {
    x = norm1_(x + among_(x, x));
    x = norm2_(x + across_(x, seen));
    return norm3_(x + feed_forward(x));
  }
  const at::Tensor y = norm1_(x);
  x = x + among_(y, y);
  x = x + across_(norm2_(x), seen);
  return x + feed_forward(norm3_(x));
}

}  // namespace lv::vision
