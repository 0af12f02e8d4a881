#include "pipeline/kernels/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/crew.h"
#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

constexpr int64_t kMaxKernelWidth = 8192;
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

/// In one pass over each row, which the processor's cache holds. `delta` may be undefined, then
/// there is no sum.
SumAndNorm of_floats(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                     double eps) {
  const int64_t width = weight.size(0);
  const int64_t rows = x.numel() / width;
  SumAndNorm out{delta.defined() ? at::empty_like(x) : at::Tensor(), at::empty_like(x)};
  const auto* from = x.const_data_ptr<float>();
  const auto* add = delta.defined() ? delta.const_data_ptr<float>() : nullptr;
  auto* sums = delta.defined() ? out.sum.mutable_data_ptr<float>() : nullptr;
  const auto* by = weight.const_data_ptr<float>();
  auto* to = out.norm.mutable_data_ptr<float>();
  const int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  share_tasks(tasks, at::get_num_threads(), [&](int64_t task) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      const float* in = from + row * width;
      if (sums != nullptr) {
        float* sum = sums + row * width;
        for (int64_t i = 0; i < width; ++i) sum[i] = in[i] + add[row * width + i];
        in = sum;
      }
      float* norm = to + row * width;
      const double mean = square_sum(in, width) / static_cast<double>(width);
      const auto scale = static_cast<float>(1 / std::sqrt(mean + eps));
      for (int64_t i = 0; i < width; ++i) norm[i] = in[i] * scale * by[i];
    }
  });
  return out;
}

bool kernel_norms(const at::Tensor& x, const at::Tensor& weight) {
  const int64_t width = x.size(-1);
  return kernels_take(x) && kernels_take(weight) && weight.scalar_type() == x.scalar_type() &&
         width % 8 == 0 && width <= kMaxKernelWidth;
}

bool plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.is_contiguous();
}

void check_width(const at::Tensor& x, const at::Tensor& weight) {
  const int64_t width = weight.size(0);
  check(x.dim() > 0 && x.size(-1) == width && width > 0, ErrorCode::kInvalidArgument,
        "rms norm: expected rows of " + std::to_string(width) + ", got " + shape_text(x.sizes()));
}

/// `delta` may be undefined, then there is no sum.
SumAndNorm by_kernel(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                     double eps) {
  const bool adds = delta.defined();
  SumAndNorm out{adds ? at::empty_like(x) : at::Tensor(), at::empty_like(x)};
  launch_add_rms_norm(
      {x.const_data_ptr(), adds ? delta.const_data_ptr() : nullptr, weight.const_data_ptr(),
       adds ? out.sum.mutable_data_ptr() : nullptr, out.norm.mutable_data_ptr(),
       *element_of(x.scalar_type()), x.numel() / x.size(-1), x.size(-1), static_cast<float>(eps)},
      current_stream(x));
  return out;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  check_width(x, weight);
  if (kernel_norms(x, weight)) return by_kernel(x, {}, weight, eps).norm;
  return plain(x) && plain(weight) ? of_floats(x, {}, weight, eps).norm
                                   : rms_norm_reference(x, weight, eps);
}

SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight,
                        double eps) {
  check_width(x, weight);
  check(delta.sizes() == x.sizes(), ErrorCode::kInvalidArgument,
        "delta: expected " + shape_text(x.sizes()) + ", got " + shape_text(delta.sizes()));
  const bool alike = kernels_take(delta) && delta.scalar_type() == x.scalar_type();
  if (alike && kernel_norms(x, weight)) return by_kernel(x, delta, weight, eps);
  if (plain(x) && plain(delta) && plain(weight)) return of_floats(x, delta, weight, eps);
  at::Tensor sum = x + delta;
  at::Tensor norm = rms_norm(sum, weight, eps);
  return {std::move(sum), std::move(norm)};
}

at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true).add_(eps));
  return (wide * scale).to(x.scalar_type()).mul_(weight);
}

}  // namespace lv
