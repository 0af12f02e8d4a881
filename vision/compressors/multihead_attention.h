#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "pipeline/nn/linear.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::vision {

/// Queries look at keys: torch's MultiheadAttention, whose projections of queries, keys and values
/// lie in one matrix. Reads `in_proj_weight`, `in_proj_bias` and `out_proj`. Immutable.
class MultiheadAttention {
 public:
  MultiheadAttention(const WeightScope& scope, int64_t width, int64_t heads);

  /// [n, m], [k, m] -> [n, m]
  at::Tensor operator()(const at::Tensor& queries, const at::Tensor& keys) const;

 private:
  int64_t heads_;
  std::vector<Linear> in_;
  Linear out_;
};

}  // namespace lv::vision
