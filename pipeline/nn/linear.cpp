#include "pipeline/nn/linear.h"

#include <ATen/ATen.h>

#include <array>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/few_rows_linear.h"
#include "pipeline/kernels/on_device.h"
#include "pipeline/kernels/quantized_matmul.h"

namespace lv {

namespace {

/// x [..., in] times each of the quantised matrices, [n, out].
std::vector<at::Tensor> products_of(const at::Tensor& x,
                                    std::span<const QuantizedMatrix* const> matrices) {
  if (matrices.empty()) return {};
  for (const QuantizedMatrix* matrix : matrices) {
    check(x.dim() > 0 && x.size(-1) == matrix->columns, ErrorCode::kInvalidArgument,
          "linear: expected rows of " + std::to_string(matrix->columns) + ", got " +
              shape_text(x.sizes()));
  }
  return quantized_matmuls(x.reshape({-1, x.size(-1)}).to(at::kFloat), matrices);
}

/// y [n, out] grows by weight x, of rows x [n, in].
void add_product(at::Tensor& y, const at::Tensor& x, const WeightMatrix& weight) {
  if (const auto* dense = std::get_if<at::Tensor>(&weight)) {
    y.addmm_(x, dense->t().to(y.scalar_type()));
  } else {
    y.add_(quantized_matmul(x, std::get<QuantizedMatrix>(weight)));
  }
}

}  // namespace

Linear::Linear(const WeightScope& scope, int64_t in, int64_t out)
    : weight_(scope.matrix("weight", out, in)) {
  if (scope.has("bias")) bias_ = scope.get("bias", {out});
  const WeightScope adapter = scope / "adapter";
  if (!adapter.has("down.weight")) return;
  const WeightScope down = adapter / "down", up = adapter / "up";
  if (auto* dense = std::get_if<at::Tensor>(&weight_)) {
    const at::Tensor narrow = down.as(at::kFloat).get("weight", {-1, in});
    const at::Tensor wide = up.as(at::kFloat).get("weight", {out, narrow.size(0)});
    *dense = dense->to(at::kFloat).addmm(wide, narrow).to(dense->scalar_type());
    return;
  }
  const int64_t rank = down.shape("weight").at(0);
  adapter_ = Adapter{down.matrix("weight", rank, in), up.matrix("weight", out, rank)};
}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return apply_each(x, std::array{this}).front();
}

std::vector<at::Tensor> apply_each(const at::Tensor& x, std::span<const Linear* const> layers) {
  std::vector<const QuantizedMatrix*> matrices;
  const auto take = [&](const WeightMatrix& weight) {
    if (const auto* matrix = std::get_if<QuantizedMatrix>(&weight)) matrices.push_back(matrix);
  };
  for (const Linear* layer : layers) {
    take(layer->weight());
    if (layer->adapter_) take(layer->adapter_->down);
  }
  const std::vector<at::Tensor> products = products_of(x, matrices);
  std::vector<at::Tensor> all;
  auto product = products.begin();
  for (const Linear* layer : layers) {
    if (const auto* dense = std::get_if<at::Tensor>(&layer->weight())) {
      all.push_back(layer->bias().defined() ? at::linear(x, *dense, layer->bias())
                                            : few_rows_linear(x, *dense));
      continue;
    }
    at::Tensor y = *product++;
    if (layer->adapter_) {
      const auto* down = std::get_if<at::Tensor>(&layer->adapter_->down);
      const at::Tensor narrow =
          down != nullptr ? x.reshape({-1, x.size(-1)}).to(at::kFloat).mm(down->t().to(at::kFloat))
                          : *product++;
      add_product(y, narrow, layer->adapter_->up);
    }
    if (layer->bias().defined()) y.add_(layer->bias());
    std::vector<int64_t> sizes = x.sizes().vec();
    sizes.back() = y.size(1);
    all.push_back(y.to(x.scalar_type()).view(sizes));
  }
  return all;
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
  std::vector<const Linear*> layers;
  for (const Linear& layer : layers_) layers.push_back(&layer);
  return apply_each(x, layers);
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
    if (!ids.is_cpu()) return dense->index_select(0, ids.to(dense->device())).to(dtype_);
    const at::Tensor row = ids.contiguous();
    const auto* first = row.const_data_ptr<int64_t>();
    const at::Tensor there = sent({first, static_cast<size_t>(row.size(0))}, dense->device());
    return dense->index_select(0, there).to(dtype_);
  }
  return dequantize_rows(std::get<QuantizedMatrix>(table_), ids).to(dtype_);
}

}  // namespace lv
