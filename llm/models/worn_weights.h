#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <utility>

#include "llm/models/causal_lm.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::llm {

/// The modules of a decoder's layer that low-rank weights go beside.
enum class WornAt { kQuery, kKey, kValue, kOutput, kMlp };

/// Low-rank weights that a sequence wears: checked, and where the model computes. Each adds
/// up (down x) to what its module makes of x; no weight of the model changes. Immutable.
/// Reference: Ma et al., Visual Perception by Large Language Model's Weights, NeurIPS 2024,
/// section 3.3.
class WornWeights {
 public:
  /// Targets are model.layers.I.self_attn.q_proj (k_proj, v_proj, o_proj) and model.layers.I.mlp,
  /// each at most once. Throws kInvalidArgument that names the target on an unknown one and on
  /// other shapes than [r, in] and [out, r] with r of at most in and out, kUnimplemented for a
  /// model without attention.
  WornWeights(const AdapterWeights& weights, const ModelShape& shape);

  /// y [n, out] += up (down x) for x [n, in], in place; nothing where nothing is worn.
  void add_to(at::Tensor y, const at::Tensor& x, int64_t layer, WornAt at) const;

 private:
  struct Factors {
    at::Tensor down, up;  // [in, r] and [r, out]
  };
  std::map<std::pair<int64_t, WornAt>, Factors> factors_;
};

/// y [n, out], what a module of `layer` made of x [n, in], after each sequence of the batch has
/// added what it wears there to its own rows, in place.
at::Tensor with_worn(at::Tensor y, const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                     WornAt at);

}  // namespace lv::llm
