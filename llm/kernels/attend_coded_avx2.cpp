#include <algorithm>

#include "llm/kernels/attend_coded.h"
#include "llm/kernels/softmax_avx2.h"
#include "pipeline/base/error.h"

#if defined(__x86_64__)

namespace lv::llm {
namespace {

constexpr int64_t kGroup = 32;
constexpr int64_t kVectors = kGroup / kLanes;
constexpr int64_t kMostRows = 3;  // whose sums of a group fit in registers

/// Codes first .. first + 7 of each field of a vector, as floats: field k of `out`.
template <int bits>
LV_AVX2_INLINE void unpack(const uint8_t* codes, __m256* out) {
  const __m256i bytes =
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
  const __m256i mask = _mm256_set1_epi32((1 << bits) - 1);
  for (int k = 0; k < 8 / bits; ++k) {
    out[k] = _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(bytes, k * bits), mask));
  }
}

/// out[r] += the sum over kGroup vectors of weights[r] times their codes.
template <int bits, int64_t rows>
LV_AVX2_INLINE void add_codes(const uint8_t* codes, const float (*weights)[kGroup],
                              float* const* out) {
  constexpr int64_t kBytes = kGroup * bits / 8;
  constexpr int64_t kFields = 8 / bits;
  __m256 sum[rows][kVectors];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < kVectors; ++i) sum[r][i] = _mm256_loadu_ps(out[r] + kLanes * i);
  }
  for (int64_t v = 0; v < kGroup; ++v, codes += kBytes) {
    for (int64_t part = 0; part < kBytes / kLanes; ++part) {
      __m256 code[kFields];
      unpack<bits>(codes + kLanes * part, code);
      for (int64_t k = 0; k < kFields; ++k) {
        const int64_t i = k * kBytes / kLanes + part;
        for (int64_t r = 0; r < rows; ++r) {
          sum[r][i] = _mm256_fmadd_ps(_mm256_set1_ps(weights[r][v]), code[k], sum[r][i]);
        }
      }
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < kVectors; ++i) _mm256_storeu_ps(out[r] + kLanes * i, sum[r][i]);
  }
}

LV_AVX2_INLINE __m256 halves(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// weights[r] = rows of `from` times the scales of kGroup vectors; zeros[r] += rows times zeros.
template <int64_t rows>
LV_AVX2_INLINE void weigh_vectors(const float* const* from, const CodedHead& head, int64_t first,
                                  float (*weights)[kGroup], __m256* zeros) {
  for (int64_t i = 0; i < kGroup; i += kLanes) {
    const __m256 scale = halves(head.scales + first + i);
    const __m256 zero = halves(head.zeros + first + i);
    for (int64_t r = 0; r < rows; ++r) {
      const __m256 x = _mm256_loadu_ps(from[r] + i);
      _mm256_storeu_ps(weights[r] + i, _mm256_mul_ps(x, scale));
      zeros[r] = _mm256_fmadd_ps(x, zero, zeros[r]);
    }
  }
}

LV_AVX2_INLINE float sum_of(__m256 x) { return _mm_cvtss_f32(sums_of(x, x, x, x)); }

/// `rows` rows from `first` on.
template <int bits, int64_t rows>
LV_AVX2 void attend(const RunningRows& all, int64_t first, const CodedBlock& block) {
  constexpr int64_t kBytes = kGroup * bits / 8;
  alignas(32) float scores[rows][kGroup] = {};
  float weights[rows][kGroup];
  const float* from[rows];
  float* out[rows];
  __m256 zeros[rows];
  for (int64_t r = 0; r < rows; ++r) {
    out[r] = scores[r];
    zeros[r] = _mm256_setzero_ps();
  }
  for (int64_t d = 0; d < all.width; d += kGroup) {
    for (int64_t r = 0; r < rows; ++r) from[r] = all.queries + (first + r) * all.width + d;
    weigh_vectors<rows>(from, block.keys, d, weights, zeros);
    add_codes<bits, rows>(block.keys.codes + d * kBytes, weights, out);
  }

  for (int64_t r = 0; r < rows; ++r) {
    const float zero = sum_of(zeros[r]);
    for (int64_t t = 0; t < kGroup; ++t) {
      const bool seen = t >= block.begin && t < block.end;
      scores[r][t] = seen ? scores[r][t] + zero : -INFINITY;
    }
    const __m256 shrink = _mm256_set1_ps(weigh(all, first + r, kGroup, scores[r]));
    float* sums = all.sums + (first + r) * all.width;
    for (int64_t d = 0; d < all.width; d += kLanes) {
      _mm256_storeu_ps(sums + d, _mm256_mul_ps(shrink, _mm256_loadu_ps(sums + d)));
    }
    from[r] = scores[r];
  }

  for (int64_t d = 0; d < all.width; d += kGroup) {
    for (int64_t r = 0; r < rows; ++r) {
      out[r] = all.sums + (first + r) * all.width + d;
      zeros[r] = _mm256_setzero_ps();
    }
    weigh_vectors<rows>(from, block.values, d, weights, zeros);
    for (int64_t r = 0; r < rows; ++r) {
      const __m256 zero = _mm256_set1_ps(sum_of(zeros[r]));
      for (int64_t i = 0; i < kGroup; i += kLanes) {
        _mm256_storeu_ps(out[r] + i, _mm256_add_ps(_mm256_loadu_ps(out[r] + i), zero));
      }
    }
    add_codes<bits, rows>(block.values.codes + d * kBytes, weights, out);
  }
}

template <int bits>
LV_AVX2 void attend_all(const RunningRows& rows, const CodedBlock& block) {
  int64_t row = 0;
  for (; row + kMostRows <= rows.rows; row += kMostRows) attend<bits, kMostRows>(rows, row, block);
  if (rows.rows - row == 2) attend<bits, 2>(rows, row, block);
  if (rows.rows - row == 1) attend<bits, 1>(rows, row, block);
}

}  // namespace

void attend_coded_avx2(const RunningRows& rows, const CodedBlock& block) {
  (block.format.bits == 4 ? attend_all<4> : attend_all<2>)(rows, block);
}

}  // namespace lv::llm

#else

namespace lv::llm {

void attend_coded_avx2(const RunningRows&, const CodedBlock&) {
  throw Error(ErrorCode::kInternal, "attend_coded_avx2: not built for this processor");
}

}  // namespace lv::llm

#endif
