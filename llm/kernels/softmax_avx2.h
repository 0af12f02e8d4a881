#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "llm/kernels/attend_rows.h"

// Compiled for AVX2 whatever the rest of the program is compiled for; has_avx2() guards each call.
#define LV_AVX2 __attribute__((target("avx2,fma,f16c")))
#define LV_AVX2_INLINE LV_AVX2 __attribute__((always_inline)) inline

namespace lv::llm {

constexpr int64_t kLanes = 8;

/// The sums of four vectors.
LV_AVX2_INLINE __m128 sums_of(__m256 a, __m256 b, __m256 c, __m256 d) {
  const __m256 all = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

/// exp(x) for x <= 0, to two units in the last place: 2^n e^r with |r| <= ln 2 / 2 and a polynomial
/// for e^r. What underflows is 0.
LV_AVX2_INLINE __m256 exp_of(__m256 x) {
  const __m256 lowest = _mm256_set1_ps(-87.0F);
  const __m256 kept = _mm256_cmp_ps(x, lowest, _CMP_GE_OQ);
  x = _mm256_max_ps(x, lowest);
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504F)),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln 2 in two parts, of which n times the first is exact.
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375F), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4F), r);
  __m256 y = _mm256_set1_ps(1.0F / 5040);
  for (const float factor : {1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F}) {
    y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(factor));
  }
  const __m256i power =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_and_ps(_mm256_mul_ps(y, _mm256_castsi256_ps(power)), kept);
}

LV_AVX2_INLINE float largest_of(__m256 x) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/// Turns scores of a block into weights, up to a whole vector; those of no key are -inf. Notes them
/// for row `row` and returns by how much its sums so far shrink.
LV_AVX2_INLINE float weigh(const RunningRows& rows, int64_t row, int64_t count, float* scores) {
  __m256 most = _mm256_set1_ps(rows.largest[row]);
  for (int64_t t = 0; t < count; t += kLanes) {
    most = _mm256_max_ps(most, _mm256_load_ps(scores + t));
  }
  const float largest = largest_of(most);
  __m256 added = _mm256_setzero_ps();
  for (int64_t t = 0; t < count; t += kLanes) {
    const __m256 weight =
        exp_of(_mm256_sub_ps(_mm256_load_ps(scores + t), _mm256_set1_ps(largest)));
    _mm256_store_ps(scores + t, weight);
    added = _mm256_add_ps(added, weight);
  }
  const float shrink = std::exp(rows.largest[row] - largest);
  rows.weights[row] =
      rows.weights[row] * shrink + _mm_cvtss_f32(sums_of(added, added, added, added));
  rows.largest[row] = largest;
  return shrink;
}

}  // namespace lv::llm

#endif
