#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "llm/kernels/paged_attention.h"
#include "llm/models/causal_lm.h"
#include "llm/select/key_span.h"
#include "pipeline/kernels/recording.h"

namespace lv::llm {

/// A step in which each of B sequences reads one token, some of them made up so that few sizes
/// occur: those see nothing. All of it lies on the model's device.
struct DecodeStep {
  at::Tensor embeddings;  // [B, D]
  at::Tensor positions;   // [B] or [B, axes] int64
  at::Tensor plans;       // [layers, B, plan_size(P)] int32, see PagePlans
  int64_t splits = 1;     // see attend_planned()
};

/// Runs steps of one token a sequence. On a GPU, which computes them faster than its kernels can be
/// launched one by one, it records them for each padded number of sequences and of pages, and
/// replays that: the same bits. What a step reads is sent at once, for all layers. Belongs to the
/// memory whose pages the recordings read. Not thread-safe.
class DecodeReplay {
 public:
  /// What the model makes of a step, hidden states [B, D]: launches that depend on nothing but the
  /// step's sizes.
  using Compute = std::function<at::Tensor(const DecodeStep&)>;

  /// Without `records` it only launches.
  explicit DecodeReplay(bool records = true);
  ~DecodeReplay();

  /// The largest step; others are better read without padding and replay.
  static constexpr int64_t kMostRows = 128;

  /// Makes room for the batch's tokens, one a sequence and at most kMostRows, and computes: hidden
  /// states [n, D]. `spans` says what each layer sees.
  at::Tensor run(const PackedBatch& batch, KvStore& kv, std::span<const KeySpan> spans,
                 const Compute& compute);

  /// How many sizes of steps are recorded now.
  int64_t recordings() const;

 private:
  /// Sizes of a step, and the memory it reads.
  struct Key {
    int64_t rows = 0, pages = 0;
    int64_t axes = 0;  // of positions; 0: without a dimension of their own
    const void* memory = nullptr;
    bool operator==(const Key&) const = default;
  };
  struct Tape;

  Tape& tape_for(const Key& key, const PackedBatch& batch, const KvStore& kv);

  const bool records_;
  std::list<Tape> tapes_;  // the latest first
};

}  // namespace lv::llm
