#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/compressors/multihead_attention.h"

namespace lv::vision {

/// torch's TransformerDecoderLayer, of batches of one: queries look at each other, then at what is
/// seen. Reads the names that torch gives its weights. Immutable.
class DecoderLayer {
 public:
  enum class Norms { kFirst, kBehind };
  using Activation = at::Tensor (*)(const at::Tensor&);

  DecoderLayer(const WeightScope& scope, int64_t width, int64_t heads, Norms norms,
               Activation activation);

  /// [n, m], [k, m] -> [n, m]
  at::Tensor operator()(at::Tensor queries, const at::Tensor& seen) const;

 private:
  at::Tensor feed_forward(const at::Tensor& x) const;

  Norms norms_;
  Activation activation_;
  LayerNorm norm1_, norm2_, norm3_;
  MultiheadAttention among_, across_;
  Linear linear1_, linear2_;
};

}  // namespace lv::vision
