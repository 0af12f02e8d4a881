#pragma once

#include <ATen/core/Tensor.h>

namespace lv::audio {

/// Rows of tokens [V, D] that are looked up at a decoder's start and multiplied at its end.
/// Computes in float32. Immutable.
///
/// A step of a small decoder is bound by reading this table. Where half precision holds every
/// number exactly, as in checkpoints of half precision, the table is kept so and widened in
/// registers: half of the bytes, the same products. That needs a CPU with AVX2, FMA and F16C;
/// elsewhere the table stays float32.
class TokenTable {
 public:
  /// `weight`: [V, D] float32. `may_halve` = false keeps float32, for comparisons.
  explicit TokenTable(const at::Tensor& weight, bool may_halve = true);

  bool halved() const { return weight_.scalar_type() == at::kHalf; }

  /// [n] int64 on the CPU -> [n, D] float32
  at::Tensor rows(const at::Tensor& ids) const;

  /// x W^T: [..., D] -> [..., V]
  at::Tensor logits(const at::Tensor& x) const;

 private:
  at::Tensor weight_;  // [V, D] float16 or float32
};

}  // namespace lv::audio
