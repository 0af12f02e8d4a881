#include "audio/encoders/token_table.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "pipeline/base/check_shape.h"

namespace lv::audio {
namespace {

constexpr int64_t kFewRows = 4;      // of x, up to which the table is read once for each
constexpr int64_t kGrain = 1 << 16;  // weights that are worth a thread

#ifdef __x86_64__

bool can_widen() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

/// The dot product of `size` numbers.
__attribute__((target("avx2,fma,f16c"))) float dot(const at::Half* w, const float* x,
                                                   int64_t size) {
  __m256 sums[4] = {};
  int64_t i = 0;
  for (; i + 32 <= size; i += 32) {
    for (int k = 0; k < 4; ++k) {
      const auto* halves = reinterpret_cast<const __m128i*>(w + i + 8 * k);
      sums[k] = _mm256_fmadd_ps(_mm256_cvtph_ps(_mm_loadu_si128(halves)),
                                _mm256_loadu_ps(x + i + 8 * k), sums[k]);
    }
  }
  float lanes[8];
  _mm256_storeu_ps(lanes,
                   _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < size; ++i) sum += static_cast<float>(w[i]) * x[i];
  return sum;
}

#else

bool can_widen() { return false; }

float dot(const at::Half* w, const float* x, int64_t size) {
  float sum = 0;
  for (int64_t i = 0; i < size; ++i) sum += static_cast<float>(w[i]) * x[i];
  return sum;
}

#endif

}  // namespace

TokenTable::TokenTable(const at::Tensor& weight, bool may_halve) : weight_(weight) {
  check_shape(weight, "token table", {-1, -1});
  check_dtype(weight, "token table", at::kFloat);
  if (!may_halve || !weight.is_cpu() || !can_widen()) return;
  const at::Tensor half = weight.to(at::kHalf);
  if (at::equal(half.to(at::kFloat), weight)) weight_ = half.contiguous();
}

at::Tensor TokenTable::rows(const at::Tensor& ids) const {
  return weight_.index_select(0, ids.to(weight_.device())).to(at::kFloat);
}

at::Tensor TokenTable::logits(const at::Tensor& x) const {
  const int64_t width = weight_.size(1);
  const at::Tensor rows = x.reshape({-1, width}).contiguous();
  if (!halved() || rows.size(0) > kFewRows) return at::linear(x, weight_.to(at::kFloat));
  const int64_t count = weight_.size(0);
  at::Tensor out = at::empty({rows.size(0), count}, at::kFloat);
  const at::Half* table = weight_.const_data_ptr<at::Half>();
  for (int64_t row = 0; row < rows.size(0); ++row) {
    const float* from = rows.const_data_ptr<float>() + row * width;
    float* to = out.mutable_data_ptr<float>() + row * count;
    at::parallel_for(0, count, std::max<int64_t>(1, kGrain / width), [&](int64_t a, int64_t b) {
      for (int64_t i = a; i < b; ++i) to[i] = dot(table + i * width, from, width);
    });
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = count;
  return out.view(shape);
}

}  // namespace lv::audio
