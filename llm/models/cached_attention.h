#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "llm/models/causal_lm.h"
#include "llm/select/elastic_span.h"

namespace lv::llm {

/// Attention of one layer to what its sequences remember. Immutable.
class CachedAttention {
 public:
  /// `spans`: what each group of key heads sees; as many as the store has groups.
  CachedAttention(std::vector<SpanRule> spans, double scale)
      : spans_(std::move(spans)), scale_(scale) {}

  /// Appends k and v [n, Hkv, Dh] to the memory of the batch's sequences and attends to it, own
  /// tokens included: q [n, H, Dh] -> [n, H, Dh].
  at::Tensor operator()(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const PackedBatch& batch, int64_t layer, KvStore& kv) const;

  /// Whether every token sees all before it, however long the text.
  bool sees_all() const;

  /// Gives back what no later token of a sequence sees.
  void forget_unseen(SequenceId sequence, int64_t planned_length, int64_t layer, KvStore& kv) const;

 private:
  at::Tensor attend_group(const at::Tensor& q, const PackedBatch& batch, int64_t layer,
                          int64_t group, const KvStore& kv) const;

  std::vector<SpanRule> spans_;
  double scale_;
};

}  // namespace lv::llm
