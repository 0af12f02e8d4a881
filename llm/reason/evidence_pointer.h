#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "pipeline/nn/linear.h"
#include "pipeline/types/prompt.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {

/// Points at what an answer rests on, one thing after another, until it points at the end.
/// Immutable.
/// Reference: Vinyals et al., Pointer Networks, NIPS 2015, section 2.3; models/nano/recipe,
/// model/evidence.py. Differs: a GRU as decoder, an end among the keys from the second step on, and
/// what was pointed at cannot be again.
class EvidencePointer {
 public:
  /// Of a pointer_part(), in float32 where that computes.
  explicit EvidencePointer(const Checkpoint& part);

  /// groups [G, D], what can be pointed at, and answer [D]: states of a language model's middle
  /// layer. At most `most` of them, in the order of pointing, and the product of the steps'
  /// probabilities.
  Pointed point(const at::Tensor& groups, const at::Tensor& answer, int64_t most = 4) const;

 private:
  EvidencePointer(const WeightScope& scope, int64_t width);

  Linear key_, query_, mix_, vector_;
  at::Tensor input_weight_, state_weight_, input_bias_, state_bias_;  // of the GRU
  at::Tensor start_, end_;                                            // [width]
};

}  // namespace lv::llm
