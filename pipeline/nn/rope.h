#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "pipeline/nn/rope_frequencies.h"

namespace lv {

/// Cosines and sines of one step's tokens, shared by all its layers.
struct RopeTable {
  at::Tensor cos, sin;  // [n, Dr / 2] float32
};

/// Rotary position embedding. Angles are computed in float64, so that late positions stay exact.
/// Immutable.
/// Reference: Su et al., RoFormer, arXiv 2104.09864. Differs: pairs are (j, j + Dr / 2), as in
/// Hugging Face checkpoints.
class Rope {
 public:
  /// `divisors`: undefined, or [Dr / 2] by which the frequencies are divided (GGUF's rope_freqs).
  /// `device`: where positions will be.
  explicit Rope(RopeSettings settings, at::Tensor divisors = {}, at::Device device = at::kCPU);

  /// The table of `positions` int64 of a sequence that will be `length` tokens long: [n], or
  /// [n, axes()] where places have more axes than one. A sequence keeps one length for all its
  /// steps: cached keys were rotated by it.
  RopeTable table(const at::Tensor& positions, int64_t length) const;

  bool depends_on_length() const { return depends_on_length_; }
  int64_t axes() const { return std::max<int64_t>(1, std::ssize(settings_.sections)); }

 private:
  RopeFrequencies frequencies(int64_t length) const;

  RopeSettings settings_;
  at::Tensor divisors_;
  bool depends_on_length_;
  RopeFrequencies fixed_;  // of policies that do not depend on length
  at::Tensor axis_;        // [Dr / 2] int64, which axis turns each pair; undefined for one axis
};

/// Rotates the first Dr dimensions of each head of `x` [n, H, Dh], whose rows must be contiguous,
/// in place.
void rotate_(at::Tensor& x, const RopeTable& table);

}  // namespace lv
