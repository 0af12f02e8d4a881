#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "llm/kv/state_store.h"
#include "llm/mixers/selective_scan.h"
#include "llm/models/causal_lm.h"
#include "pipeline/nn/linear.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {

struct MambaSizes {
  int64_t width = 0;           // D
  int64_t channels = 0;        // Di
  int64_t states = 0;          // S of a channel
  int64_t conv_width = 0;      // K
  int64_t time_step_rank = 0;  // R
};

/// A gated selective state space behind a short causal convolution, in place of attention. What a
/// sequence remembers are the last K - 1 inputs of the convolution ("conv" [K - 1, Di]) and the
/// states ("ssm" [Di, S]), both float32. Immutable.
/// Reference: Gu and Dao, Mamba, arXiv 2312.00752, section 3.4.
class MambaMixer {
 public:
  MambaMixer(const WeightScope& scope, const MambaSizes& sizes);

  /// [n, D] -> [n, D]: each sequence of the batch continues from its states of `layer`.
  at::Tensor operator()(const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                        StateStore& states) const;

 private:
  at::Tensor convolve(const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                      StateStore& states) const;
  at::Tensor scan(const ScanInput& input, const PackedBatch& batch, int64_t layer,
                  StateStore& states) const;
  ScanInput scan_input(const at::Tensor& u, at::ScalarType dtype) const;

  MambaSizes sizes_;
  Linear in_, x_, dt_, out_;
  at::Tensor conv_weight_;  // [K, Di] float32
  at::Tensor conv_bias_;    // [Di] float32 or undefined
  at::Tensor dt_bias_;      // [Di] float32
  at::Tensor a_;            // [Di, S] float32
  at::Tensor skip_;         // [Di] float32
};

}  // namespace lv::llm
