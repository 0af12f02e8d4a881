#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "llm/models/causal_lm.h"
#include "llm/select/key_span.h"

namespace lv::llm {

/// Attention of one layer to what its sequences remember. Immutable.
class CachedAttention {
 public:
  /// `spans`: what each group of key heads sees; one for all, or as many as the store has groups.
  CachedAttention(std::vector<KeySpan> spans, double scale)
      : spans_(std::move(spans)), scale_(scale) {}

  /// Appends k and v [n, Hkv, Dh] to the memory of the batch's sequences and attends to it, own
  /// tokens included: q [n, H, Dh] -> [n, H, Dh].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const PackedBatch& batch, int64_t layer, KvStore& kv) const;

  /// Gives back what no later token sees.
  void forget_unseen(SequenceId sequence, int64_t layer, KvStore& kv) const;

 private:
  at::Tensor attend_group(const at::Tensor& q, const PackedBatch& batch, int64_t layer,
                          int64_t group, const KvStore& kv) const;

  std::vector<KeySpan> spans_;
  double scale_;
};

}  // namespace lv::llm
