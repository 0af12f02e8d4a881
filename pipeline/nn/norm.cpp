#include "pipeline/nn/norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/crew.h"

namespace lv {
namespace {

constexpr int64_t kRowsPerTask = 16;

/// In several sums, so that the compiler may use vectors.
float square_sum(const float* x, int64_t count) {
  constexpr int64_t kSums = 16;
  std::array<float, kSums> sums{};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums) {
    for (int64_t j = 0; j < kSums; ++j) sums[static_cast<size_t>(j)] += x[i + j] * x[i + j];
  }
  for (; i < count; ++i) sums[0] += x[i] * x[i];
  return std::accumulate(sums.begin(), sums.end(), 0.F);
}

/// In one pass over each row, which the processor's cache holds.
at::Tensor rms_norm_floats(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const int64_t width = weight.size(0);
  check(x.dim() > 0 && x.size(-1) == width && width > 0, ErrorCode::kInvalidArgument,
        "rms norm: expected rows of " + std::to_string(width) + ", got " + shape_text(x.sizes()));
  const int64_t rows = x.numel() / width;
  at::Tensor y = at::empty_like(x);
  const auto* from = x.const_data_ptr<float>();
  const auto* by = weight.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  const int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  share_tasks(tasks, at::get_num_threads(), [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      const float* in = from + row * width;
      float* out = to + row * width;
      const double mean = square_sum(in, width) / static_cast<double>(width);
      const auto scale = static_cast<float>(1 / std::sqrt(mean + eps));
      for (int64_t i = 0; i < width; ++i) out[i] = in[i] * scale * by[i];
    }
  });
  return y;
}

}  // namespace

LayerNorm::LayerNorm(const WeightScope& scope, int64_t width, double eps)
    : weight_(scope.get("weight", {width})), bias_(scope.get("bias", {width})), eps_(eps) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return layer_norm(x, weight_, bias_, eps_);
}

SumAndNorm LayerNorm::of_sum(const at::Tensor& x, const at::Tensor& delta) const {
  if (!delta.defined()) return {x, (*this)(x)};
  return add_layer_norm(x, delta, weight_, bias_, eps_);
}

RmsNorm::RmsNorm(const WeightScope& scope, int64_t width, double eps)
    : weight_(scope.get("weight", {width})), eps_(eps) {}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const auto plain = [](const at::Tensor& t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
  };
  if (plain(x) && plain(weight_)) return rms_norm_floats(x, weight_, eps_);
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true).add_(eps_));
  return (wide * scale).to(x.scalar_type()).mul_(weight_);
}

}  // namespace lv
