#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv {

/// y = x W^T + b, with W dense or quantised. Reads `weight`, and `bias` if the checkpoint has one.
/// If it has a low-rank adapter, `adapter.down.weight` [r, in] and `adapter.up.weight` [out, r], W
/// grows by up down: a dense W when it is loaded. A quantised one has no room for so small a change
/// and keeps it beside, as a product of its own. Immutable.
/// Reference: Hu et al., LoRA, ICLR 2022, with alpha = r.
class Linear {
 public:
  Linear(const WeightScope& scope, int64_t in, int64_t out);
  /// A layer of given parts; `bias` may be undefined.
  Linear(WeightMatrix weight, at::Tensor bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  /// [..., in] -> [..., out]
  at::Tensor operator()(const at::Tensor& x) const;

  const WeightMatrix& weight() const { return weight_; }
  const at::Tensor& bias() const { return bias_; }

 private:
  friend std::vector<at::Tensor> apply_each(const at::Tensor& x,
                                            std::span<const Linear* const> layers);

  struct Adapter {
    WeightMatrix down, up;
  };

  WeightMatrix weight_;                  // [out, in]
  at::Tensor bias_;                      // [out] or undefined
  std::optional<Adapter> adapter_ = {};  // of a quantised weight
};

/// What each of several layers makes of the same x [..., in]. Quantised ones share the work of
/// preparing it.
std::vector<at::Tensor> apply_each(const at::Tensor& x, std::span<const Linear* const> layers);

/// Linear layers that read the same input. Dense ones on a GPU are one product. Immutable.
class LinearGroup {
 public:
  explicit LinearGroup(std::vector<Linear> layers);

  /// [..., in] -> [..., out] of each layer, which may be views of one tensor.
  std::vector<at::Tensor> operator()(const at::Tensor& x) const;

 private:
  std::vector<Linear> layers_;  // one of all, if they are one product
  std::vector<int64_t> widths_;
};

/// Rows of a table, dense or quantised. Reads `weight`. Immutable.
class Embedding {
 public:
  Embedding(const WeightScope& scope, int64_t count, int64_t width);

  /// [n] int64 -> [n, width]. Throws kInvalidArgument on an id outside the table.
  at::Tensor operator()(const at::Tensor& ids) const;

  /// The table as the weight of an output layer that is tied to it.
  const WeightMatrix& table() const { return table_; }

 private:
  WeightMatrix table_;  // [count, width]
  at::ScalarType dtype_;
};

}  // namespace lv
