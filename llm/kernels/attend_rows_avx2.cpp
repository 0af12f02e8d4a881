#include "llm/kernels/attend_rows.h"
#include "llm/kernels/softmax_avx2.h"
#include "pipeline/base/error.h"

#if defined(__x86_64__)

namespace lv::llm {
namespace {

constexpr int64_t kSlab = 8;  // vectors of values that are summed in registers

/// Scores of the block's keys; those of no key, up to a whole vector, are -inf.
LV_AVX2_INLINE void score(const float* query, const KeyBlock& block, int64_t width, float* scores) {
  int64_t t = 0;
  for (; t + 4 <= block.count; t += 4) {
    __m256 dot[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    for (int64_t d = 0; d < width; d += kLanes) {
      const __m256 q = _mm256_loadu_ps(query + d);
      for (int64_t i = 0; i < 4; ++i) {
        dot[i] = _mm256_fmadd_ps(q, _mm256_loadu_ps(block.keys[t + i] + d), dot[i]);
      }
    }
    _mm_storeu_ps(scores + t, sums_of(dot[0], dot[1], dot[2], dot[3]));
  }
  for (; t < block.count; ++t) {
    __m256 dot = _mm256_setzero_ps();
    for (int64_t d = 0; d < width; d += kLanes) {
      dot = _mm256_fmadd_ps(_mm256_loadu_ps(query + d), _mm256_loadu_ps(block.keys[t] + d), dot);
    }
    scores[t] = _mm_cvtss_f32(sums_of(dot, dot, dot, dot));
  }
  for (; t % kLanes != 0; ++t) scores[t] = -INFINITY;
}

/// sums = shrink * sums + weighted values, for `count` vectors from `first` on.
template <int64_t count>
LV_AVX2_INLINE void add_values(const KeyBlock& block, const float* weights, __m256 shrink,
                               int64_t first, float* sums) {
  __m256 sum[count];
  for (int64_t i = 0; i < count; ++i) {
    sum[i] = _mm256_mul_ps(shrink, _mm256_loadu_ps(sums + first + kLanes * i));
  }
  for (int64_t t = 0; t < block.count; ++t) {
    const __m256 weight = _mm256_set1_ps(weights[t]);
    const float* value = block.values[t] + first;
    for (int64_t i = 0; i < count; ++i) {
      sum[i] = _mm256_fmadd_ps(weight, _mm256_loadu_ps(value + kLanes * i), sum[i]);
    }
  }
  for (int64_t i = 0; i < count; ++i) _mm256_storeu_ps(sums + first + kLanes * i, sum[i]);
}

}  // namespace

LV_AVX2 void attend_rows_avx2(const RunningRows& rows, const KeyBlock& block) {
  alignas(32) float scores[kBlockKeys];
  for (int64_t row = 0; row < rows.rows; ++row) {
    score(rows.queries + row * rows.width, block, rows.width, scores);
    const float shrink = weigh(rows, row, block.count, scores);
    float* sums = rows.sums + row * rows.width;
    int64_t d = 0;
    for (; d + kSlab * kLanes <= rows.width; d += kSlab * kLanes) {
      add_values<kSlab>(block, scores, _mm256_set1_ps(shrink), d, sums);
    }
    for (; d < rows.width; d += kLanes) {
      add_values<1>(block, scores, _mm256_set1_ps(shrink), d, sums);
    }
  }
}

}  // namespace lv::llm

#else

namespace lv::llm {

void attend_rows_avx2(const RunningRows&, const KeyBlock&) {
  throw Error(ErrorCode::kInternal, "attend_rows_avx2: not built for this processor");
}

}  // namespace lv::llm

#endif
