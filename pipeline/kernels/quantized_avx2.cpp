#include "pipeline/kernels/quantized_avx2.h"

#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_blocks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <array>
#include <utility>

// Compiled for AVX2 whatever the rest of the program is compiled for; has_avx2() guards each call.
#define LV_AVX2 __attribute__((target("avx2,fma,f16c")))
#define LV_AVX2_INLINE LV_AVX2 __attribute__((always_inline)) inline

namespace lv {
namespace {

LV_AVX2_INLINE float read_half(const uint8_t* at) {
  uint16_t bits;
  __builtin_memcpy(&bits, at, sizeof(bits));
  return _cvtsh_ss(bits);
}

/// Eight bytes as eight 32-bit numbers.
LV_AVX2_INLINE __m256i load_bytes(const uint8_t* at) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}
LV_AVX2_INLINE __m256i load_signed_bytes(const uint8_t* at) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}

// Each format: group(block, g, w) turns weights 32 g .. 32 g + 31 of a block into four vectors.

struct Q4_0 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 18;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    const __m256 d = _mm256_set1_ps(read_half(block));
    const __m256i mask = _mm256_set1_epi32(15);
    const __m256i eight = _mm256_set1_epi32(8);
    for (int i = 0; i < 2; ++i) {
      const __m256i pairs = load_bytes(block + 2 + 8 * i);
      const __m256i low = _mm256_sub_epi32(_mm256_and_si256(pairs, mask), eight);
      const __m256i high = _mm256_sub_epi32(_mm256_srli_epi32(pairs, 4), eight);
      w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(low), d);
      w[i + 2] = _mm256_mul_ps(_mm256_cvtepi32_ps(high), d);
    }
  }
};

struct Q4_1 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 20;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    const __m256 d = _mm256_set1_ps(read_half(block));
    const __m256 m = _mm256_set1_ps(read_half(block + 2));
    const __m256i mask = _mm256_set1_epi32(15);
    for (int i = 0; i < 2; ++i) {
      const __m256i pairs = load_bytes(block + 4 + 8 * i);
      const __m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(pairs, mask));
      const __m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(pairs, 4));
      w[i] = _mm256_fmadd_ps(low, d, m);
      w[i + 2] = _mm256_fmadd_ps(high, d, m);
    }
  }
};

/// Bits first .. first + 7 of `bits`, each moved to where the fifth bit of a weight is.
LV_AVX2_INLINE __m256i fifth_bits(uint32_t bits, int first) {
  const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i all = _mm256_set1_epi32(static_cast<int>(bits >> first));
  const __m256i one = _mm256_and_si256(_mm256_srlv_epi32(all, order), _mm256_set1_epi32(1));
  return _mm256_slli_epi32(one, 4);
}

/// The 32 numbers of five bits of a Q5_0 or Q5_1 block.
LV_AVX2_INLINE void five_bits(const uint8_t* high, const uint8_t* pairs, __m256i q[4]) {
  uint32_t bits;
  __builtin_memcpy(&bits, high, sizeof(bits));
  const __m256i mask = _mm256_set1_epi32(15);
  for (int i = 0; i < 2; ++i) {
    const __m256i both = load_bytes(pairs + 8 * i);
    q[i] = _mm256_or_si256(_mm256_and_si256(both, mask), fifth_bits(bits, 8 * i));
    q[i + 2] = _mm256_or_si256(_mm256_srli_epi32(both, 4), fifth_bits(bits, 16 + 8 * i));
  }
}

struct Q5_0 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 22;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    const __m256 d = _mm256_set1_ps(read_half(block));
    const __m256i sixteen = _mm256_set1_epi32(16);
    __m256i q[4];
    five_bits(block + 2, block + 6, q);
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(q[i], sixteen)), d);
    }
  }
};

struct Q5_1 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 24;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    const __m256 d = _mm256_set1_ps(read_half(block));
    const __m256 m = _mm256_set1_ps(read_half(block + 2));
    __m256i q[4];
    five_bits(block + 4, block + 8, q);
    for (int i = 0; i < 4; ++i) w[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(q[i]), d, m);
  }
};

struct Q8_0 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 34;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    const __m256 d = _mm256_set1_ps(read_half(block));
    for (int i = 0; i < 4; ++i) {
      const __m256i q = load_signed_bytes(block + 2 + 8 * i);
      w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(q), d);
    }
  }
};

/// Eight numbers of two bits at `at`, `shift` bits up.
LV_AVX2_INLINE __m256i two_bits(const uint8_t* at, int shift) {
  const __m256i fours = _mm256_srl_epi32(load_bytes(at), _mm_cvtsi32_si128(shift));
  return _mm256_and_si256(fours, _mm256_set1_epi32(3));
}

struct Q2_K {
  static constexpr int kGroups = 8;
  static constexpr int kBytes = 84;
  static LV_AVX2_INLINE void group(const uint8_t* block, int g, __m256 w[4]) {
    const float d = read_half(block + 80);
    const float dmin = read_half(block + 82);
    const uint8_t* fours = block + 16 + 32 * (g / 4);
    for (int i = 0; i < 4; ++i) {
      const uint8_t scale = block[2 * g + i / 2];
      const __m256 step = _mm256_set1_ps(d * static_cast<float>(scale & 15));
      const __m256 low = _mm256_set1_ps(dmin * static_cast<float>(scale >> 4));
      const __m256i q = two_bits(fours + 8 * i, 2 * (g % 4));
      w[i] = _mm256_fmsub_ps(_mm256_cvtepi32_ps(q), step, low);
    }
  }
};

struct Q3_K {
  static constexpr int kGroups = 8;
  static constexpr int kBytes = 110;
  static LV_AVX2_INLINE void group(const uint8_t* block, int g, __m256 w[4]) {
    const float d = read_half(block + 108);
    const uint8_t* fours = block + 32 + 32 * (g / 4);
    const __m128i shift = _mm_cvtsi32_si128(g);
    const __m256i four = _mm256_set1_epi32(4);
    for (int i = 0; i < 4; ++i) {
      const auto step = d * static_cast<float>(unpack_q3_k(block + 96, 2 * g + i / 2));
      const __m256i high = _mm256_slli_epi32(_mm256_srl_epi32(load_bytes(block + 8 * i), shift), 2);
      const __m256i q =
          _mm256_or_si256(two_bits(fours + 8 * i, 2 * (g % 4)), _mm256_and_si256(high, four));
      w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(q, four)), _mm256_set1_ps(step));
    }
  }
};

struct Q4_K {
  static constexpr int kGroups = 8;
  static constexpr int kBytes = 144;
  static LV_AVX2_INLINE void group(const uint8_t* block, int g, __m256 w[4]) {
    const auto [scale, minimum] = unpack_q4_k(block + 4, g);
    const __m256 step = _mm256_set1_ps(read_half(block) * static_cast<float>(scale));
    const __m256 low = _mm256_set1_ps(read_half(block + 2) * static_cast<float>(minimum));
    const __m256i mask = _mm256_set1_epi32(15);
    const __m128i shift = _mm_cvtsi32_si128(g % 2 * 4);
    const uint8_t* pairs = block + 16 + 32 * (g / 2);
    for (int i = 0; i < 4; ++i) {
      const __m256i q = _mm256_and_si256(_mm256_srl_epi32(load_bytes(pairs + 8 * i), shift), mask);
      w[i] = _mm256_fmsub_ps(_mm256_cvtepi32_ps(q), step, low);
    }
  }
};

struct Q5_K {
  static constexpr int kGroups = 8;
  static constexpr int kBytes = 176;
  static LV_AVX2_INLINE void group(const uint8_t* block, int g, __m256 w[4]) {
    const auto [scale, minimum] = unpack_q4_k(block + 4, g);
    const __m256 step = _mm256_set1_ps(read_half(block) * static_cast<float>(scale));
    const __m256 low = _mm256_set1_ps(read_half(block + 2) * static_cast<float>(minimum));
    const __m256i mask = _mm256_set1_epi32(15);
    const __m256i sixteen = _mm256_set1_epi32(16);
    const __m128i shift = _mm_cvtsi32_si128(g % 2 * 4);
    const __m128i bit = _mm_cvtsi32_si128(g);
    const uint8_t* pairs = block + 48 + 32 * (g / 2);
    for (int i = 0; i < 4; ++i) {
      const __m256i four =
          _mm256_and_si256(_mm256_srl_epi32(load_bytes(pairs + 8 * i), shift), mask);
      const __m256i fifth =
          _mm256_slli_epi32(_mm256_srl_epi32(load_bytes(block + 16 + 8 * i), bit), 4);
      const __m256i q = _mm256_or_si256(four, _mm256_and_si256(fifth, sixteen));
      w[i] = _mm256_fmsub_ps(_mm256_cvtepi32_ps(q), step, low);
    }
  }
};

struct Q6_K {
  static constexpr int kGroups = 8;
  static constexpr int kBytes = 210;
  static LV_AVX2_INLINE void group(const uint8_t* block, int g, __m256 w[4]) {
    const int half = g / 4;
    const int quarter = g % 4;
    const float d = read_half(block + 208);
    const uint8_t* low = block + 64 * half + 32 * (quarter % 2);
    const uint8_t* high = block + 128 + 32 * half;
    const uint8_t* scales = block + 192 + 8 * half + 2 * quarter;
    const __m128i low_shift = _mm_cvtsi32_si128(quarter / 2 * 4);
    const __m128i high_shift = _mm_cvtsi32_si128(2 * quarter);
    const __m256i four_bits = _mm256_set1_epi32(15);
    const __m256i two_bits = _mm256_set1_epi32(3);
    const __m256i offset = _mm256_set1_epi32(32);
    for (int i = 0; i < 4; ++i) {
      const float scale = d * static_cast<float>(static_cast<int8_t>(scales[i / 2]));
      const __m256i lower =
          _mm256_and_si256(_mm256_srl_epi32(load_bytes(low + 8 * i), low_shift), four_bits);
      const __m256i upper =
          _mm256_and_si256(_mm256_srl_epi32(load_bytes(high + 8 * i), high_shift), two_bits);
      const __m256i q =
          _mm256_sub_epi32(_mm256_or_si256(lower, _mm256_slli_epi32(upper, 4)), offset);
      w[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(scale));
    }
  }
};

struct F16 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 64;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    for (int i = 0; i < 4; ++i) {
      w[i] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i)));
    }
  }
};

struct BF16 {
  static constexpr int kGroups = 1;
  static constexpr int kBytes = 64;
  static LV_AVX2_INLINE void group(const uint8_t* block, int, __m256 w[4]) {
    for (int i = 0; i < 4; ++i) {
      const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i));
      w[i] = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    }
  }
};

LV_AVX2_INLINE float sum(__m256 x) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

template <class Format>
LV_AVX2 void decode(const uint8_t* block, int64_t columns, float* out) {
  for (const float* end = out + columns; out != end; block += Format::kBytes) {
    for (int g = 0; g < Format::kGroups; ++g, out += 32) {
      __m256 w[4];
      Format::group(block, g, w);
      for (int i = 0; i < 4; ++i) _mm256_storeu_ps(out + 8 * i, w[i]);
    }
  }
}

template <class Format, int Count>
LV_AVX2 void dot(const uint8_t* block, int64_t columns, const float* x, float* y,
                 int64_t y_stride) {
  // A sum waits four cycles for the one before, so a few rows of x keep several sums each.
  constexpr int kSums = Count == 1 ? 4 : Count <= 3 ? 2 : 1;
  __m256 sums[Count][kSums];
  for (auto& of_row : sums) {
    for (auto& one : of_row) one = _mm256_setzero_ps();
  }
  for (int64_t done = 0; done < columns; block += Format::kBytes) {
    for (int g = 0; g < Format::kGroups; ++g, done += 32) {
      __m256 w[4];
      Format::group(block, g, w);
      for (int r = 0; r < Count; ++r) {
        const float* from = x + r * columns + done;
        for (int i = 0; i < 4; ++i) {
          __m256& to = sums[r][i % kSums];
          to = _mm256_fmadd_ps(w[i], _mm256_loadu_ps(from + 8 * i), to);
        }
      }
    }
  }
  for (int r = 0; r < Count; ++r) {
    for (int i = 1; i < kSums; ++i) sums[r][0] = _mm256_add_ps(sums[r][0], sums[r][i]);
    y[r * y_stride] = sum(sums[r][0]);
  }
}

using Decode = void (*)(const uint8_t*, int64_t, float*);
using Dot = void (*)(const uint8_t*, int64_t, const float*, float*, int64_t);

struct Kernels {
  Decode decode;
  std::array<Dot, kMaxDotRows> dot;  // for 1, 2, ... rows of x
};

template <class Format, int... Less>
constexpr Kernels kernels_of(std::integer_sequence<int, Less...>) {
  return {decode<Format>, {dot<Format, Less + 1>...}};
}

const Kernels& kernels(BlockFormat format) {
  constexpr auto kCounts = std::make_integer_sequence<int, kMaxDotRows>();
  static constexpr Kernels kQ4_0 = kernels_of<Q4_0>(kCounts);
  static constexpr Kernels kQ4_1 = kernels_of<Q4_1>(kCounts);
  static constexpr Kernels kQ5_0 = kernels_of<Q5_0>(kCounts);
  static constexpr Kernels kQ5_1 = kernels_of<Q5_1>(kCounts);
  static constexpr Kernels kQ8_0 = kernels_of<Q8_0>(kCounts);
  static constexpr Kernels kQ2_K = kernels_of<Q2_K>(kCounts);
  static constexpr Kernels kQ3_K = kernels_of<Q3_K>(kCounts);
  static constexpr Kernels kQ4_K = kernels_of<Q4_K>(kCounts);
  static constexpr Kernels kQ5_K = kernels_of<Q5_K>(kCounts);
  static constexpr Kernels kQ6_K = kernels_of<Q6_K>(kCounts);
  static constexpr Kernels kF16 = kernels_of<F16>(kCounts);
  static constexpr Kernels kBF16 = kernels_of<BF16>(kCounts);
  switch (format) {
    case BlockFormat::kQ4_0:
      return kQ4_0;
    case BlockFormat::kQ4_1:
      return kQ4_1;
    case BlockFormat::kQ5_0:
      return kQ5_0;
    case BlockFormat::kQ5_1:
      return kQ5_1;
    case BlockFormat::kQ8_0:
      return kQ8_0;
    case BlockFormat::kQ2_K:
      return kQ2_K;
    case BlockFormat::kQ3_K:
      return kQ3_K;
    case BlockFormat::kQ4_K:
      return kQ4_K;
    case BlockFormat::kQ5_K:
      return kQ5_K;
    case BlockFormat::kQ6_K:
      return kQ6_K;
    case BlockFormat::kF16:
      return kF16;
    case BlockFormat::kBF16:
      return kBF16;
  }
  throw Error(ErrorCode::kInternal, "quantized kernels: unknown block format");
}

/// clang 14's __builtin_cpu_supports() does not know it by name.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

}  // namespace

bool has_avx2() {
  static const bool present =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  return present;
}

void decode_row_avx2(BlockFormat format, const uint8_t* row, int64_t columns, float* out) {
  kernels(format).decode(row, columns, out);
}

void dot_row_avx2(BlockFormat format, const uint8_t* row, int64_t columns, const float* x,
                  int64_t count, float* y, int64_t y_stride) {
  kernels(format).dot[static_cast<size_t>(count - 1)](row, columns, x, y, y_stride);
}

}  // namespace lv

#else  // other processors take the plain path

namespace lv {

bool has_avx2() { return false; }
void decode_row_avx2(BlockFormat, const uint8_t*, int64_t, float*) {
  throw Error(ErrorCode::kInternal, "decode_row_avx2: not built for this processor");
}
void dot_row_avx2(BlockFormat, const uint8_t*, int64_t, const float*, int64_t, float*, int64_t) {
  throw Error(ErrorCode::kInternal, "dot_row_avx2: not built for this processor");
}

}  // namespace lv

#endif
