#include "pipeline/nn/rope.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/crew.h"
#include "pipeline/kernels/on_device.h"

namespace lv {
namespace {

constexpr int64_t kRowsPerTask = 16;

void rotate_floats(float* x, const float* cos, const float* sin, int64_t half) {
  for (int64_t j = 0; j < half; ++j) {
    const float a = x[j];
    const float b = x[j + half];
    x[j] = a * cos[j] - b * sin[j];
    x[j + half] = b * cos[j] + a * sin[j];
  }
}

}  // namespace

Rope::Rope(RopeSettings settings, at::Tensor divisors, at::Device device)
    : settings_(std::move(settings)), depends_on_length_(lv::depends_on_length(settings_)) {
  if (divisors.defined()) {
    check_shape(divisors, "rope divisors", {settings_.rotary_size / 2});
    divisors_ = divisors.to(at::kCPU, at::kDouble);
  }
  fixed_ = frequencies(settings_.max_positions);
  fixed_.inverse = fixed_.inverse.to(device);
  std::vector<int64_t> axis;
  for (size_t i = 0; i < settings_.sections.size(); ++i) {
    axis.insert(axis.end(), static_cast<size_t>(settings_.sections[i]), static_cast<int64_t>(i));
  }
  if (!axis.empty()) axis_ = at::tensor(axis, at::kLong).to(device);
}

RopeFrequencies Rope::frequencies(int64_t length) const {
  RopeFrequencies result = rope_frequencies(settings_, length);
  if (divisors_.defined()) result.inverse = result.inverse / divisors_;
  return result;
}

RopeTable Rope::table(const at::Tensor& positions, int64_t length) const {
  const RopeFrequencies f = depends_on_length_ ? frequencies(length) : fixed_;
  const at::Tensor inverse = f.inverse.to(positions.device());
  at::Tensor places = positions.unsqueeze(-1);  // [n, 1], or [n, Dr / 2]
  if (positions.dim() != 1) {
    check_shape(positions, "positions", {-1, axes()});
    places = axis_.defined() ? positions.index_select(1, axis_.to(positions.device())) : positions;
  }
  const at::Tensor angles = places.to(at::kDouble) * inverse;  // [n, Dr / 2]
  return {(angles.cos() * f.attention_factor).to(at::kFloat),
          (angles.sin() * f.attention_factor).to(at::kFloat)};
}

void rotate_(at::Tensor& x, const RopeTable& table) {
  const int64_t half = table.cos.size(1);
  check_shape(x, "rope", {table.cos.size(0), -1, -1});
  check(x.size(0) == 0 || x[0].is_contiguous(), ErrorCode::kInternal,
        "rope: expected contiguous rows");
  check(x.size(2) >= 2 * half, ErrorCode::kInternal,
        "rope: expected heads of at least the rotated size");
  if (x.is_cpu() && x.scalar_type() == at::kFloat) {
    const int64_t heads = x.size(1);
    const int64_t width = x.size(2);
    const float* cos = table.cos.const_data_ptr<float>();
    const float* sin = table.sin.const_data_ptr<float>();
    float* first = x.data_ptr<float>();
    const int64_t rows = x.size(0);
    const int64_t stride = x.stride(0);
    share_tasks((rows + kRowsPerTask - 1) / kRowsPerTask, at::get_num_threads(), [&](int64_t task) {
      const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
      for (int64_t row = task * kRowsPerTask; row < end; ++row) {
        float* at = first + row * stride;
        for (int64_t head = 0; head < heads; ++head, at += width) {
          rotate_floats(at, cos + row * half, sin + row * half, half);
        }
      }
    });
    return;
  }
  if (x.size(0) > 0 && kernels_take(x[0]) && kernels_take(table.cos) && kernels_take(table.sin)) {
    launch_rotate(
        {x.mutable_data_ptr(), table.cos.const_data_ptr<float>(), table.sin.const_data_ptr<float>(),
         *element_of(x.scalar_type()), x.size(0), x.size(1), x.size(2), half, x.stride(0)},
        current_stream(x));
    return;
  }
  const at::Tensor cos = table.cos.unsqueeze(1);  // [n, 1, Dr / 2]
  const at::Tensor sin = table.sin.unsqueeze(1);
  at::Tensor first = x.slice(2, 0, half);
  at::Tensor second = x.slice(2, half, 2 * half);
  const at::Tensor a = first.to(at::kFloat, false, true);
  const at::Tensor b = second.to(at::kFloat, false, true);
  first.copy_(a * cos - b * sin);
  second.copy_(b * cos + a * sin);
}

}  // namespace lv
