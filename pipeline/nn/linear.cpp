#include "pipeline/nn/linear.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_matmul.h"

namespace lv {

Linear::Linear(const WeightScope& scope, int64_t in, int64_t out)
    : weight_(scope.matrix("weight", out, in)) {
  if (scope.has("bias")) bias_ = scope.get("bias", {out});
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (const auto* dense = std::get_if<at::Tensor>(&weight_)) return at::linear(x, *dense, bias_);
  const auto& matrix = std::get<QuantizedMatrix>(weight_);
  std::vector<int64_t> sizes = x.sizes().vec();
  check(!sizes.empty() && sizes.back() == matrix.columns, ErrorCode::kInvalidArgument,
        "linear: expected rows of " + std::to_string(matrix.columns) + ", got " +
            shape_text(x.sizes()));
  sizes.back() = matrix.rows;
  at::Tensor y = quantized_matmul(x.reshape({-1, matrix.columns}).to(at::kFloat), matrix);
  if (bias_.defined()) y.add_(bias_);
  return y.to(x.scalar_type()).view(sizes);
}

LinearGroup::LinearGroup(std::vector<Linear> layers) : layers_(std::move(layers)) {
  std::vector<at::Tensor> weights, biases;
  for (const Linear& layer : layers_) {
    widths_.push_back(shape_of(layer.weight())[0]);
    const auto* dense = std::get_if<at::Tensor>(&layer.weight());
    if (dense != nullptr && dense->is_cuda()) weights.push_back(*dense);
    if (layer.bias().defined()) biases.push_back(layer.bias());
  }
  const bool like_biased = biases.empty() || biases.size() == layers_.size();
  if (weights.size() < layers_.size() || !like_biased) return;
  layers_ = {Linear(at::cat(weights), biases.empty() ? at::Tensor() : at::cat(biases))};
}

std::vector<at::Tensor> LinearGroup::operator()(const at::Tensor& x) const {
  if (layers_.size() == 1) return layers_.front()(x).split_with_sizes(widths_, -1);
  std::vector<at::Tensor> all;
  for (const Linear& layer : layers_) all.push_back(layer(x));
  return all;
}

Embedding::Embedding(const WeightScope& scope, int64_t count, int64_t width)
    : table_(scope.matrix("weight", count, width)), dtype_(scope.dtype()) {}

at::Tensor Embedding::operator()(const at::Tensor& ids) const {
  check_shape(ids, "ids", {-1});
  check_dtype(ids, "ids", at::kLong);
  const int64_t count = shape_of(table_)[0];
  // On other devices reading the ids back would make the host wait; their gather checks itself.
  if (ids.is_cpu() && ids.numel() > 0) {
    const int64_t least = ids.min().item<int64_t>();
    const int64_t most = ids.max().item<int64_t>();
    check(least >= 0 && most < count, ErrorCode::kInvalidArgument,
          "ids: expected 0 to " + std::to_string(count - 1) + ", got " +
              std::to_string(least < 0 ? least : most));
  }
  if (const auto* dense = std::get_if<at::Tensor>(&table_)) {
    return dense->index_select(0, ids.to(dense->device())).to(dtype_);
  }
  return dequantize_rows(std::get<QuantizedMatrix>(table_), ids).to(dtype_);
}

}  // namespace lv
