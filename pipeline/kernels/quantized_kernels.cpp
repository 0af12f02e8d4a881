#include "pipeline/kernels/quantized_kernels.h"

#include <vector>

#include "pipeline/kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>

namespace lv {
extern const QuantizedKernels kAvx2Kernels;        // quantized_avx2.cpp
extern const QuantizedKernels kAvxVnniKernels;     // quantized_avx_vnni.cpp
extern const QuantizedKernels kAvx512VnniKernels;  // quantized_avx512_vnni.cpp
}  // namespace lv
#endif

namespace lv {
namespace {

#if defined(__x86_64__)
/// clang 14's __builtin_cpu_supports() does not know these by name.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 4)) != 0;
}

std::vector<const QuantizedKernels*> kernels_of_this_processor() {
  if (!has_avx2() || !has_f16c()) return {};
  std::vector<const QuantizedKernels*> all;
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni")) {
    all.push_back(&kAvx512VnniKernels);
  }
  if (has_avx_vnni()) all.push_back(&kAvxVnniKernels);
  all.push_back(&kAvx2Kernels);
  return all;
}
#else
std::vector<const QuantizedKernels*> kernels_of_this_processor() { return {}; }
#endif

}  // namespace

std::span<const QuantizedKernels* const> all_quantized_kernels() {
  static const std::vector<const QuantizedKernels*> all = kernels_of_this_processor();
  return all;
}

const QuantizedKernels* quantized_kernels() {
  const auto all = all_quantized_kernels();
  return all.empty() ? nullptr : all.front();
}

bool multiplies_integers(BlockFormat format) {
  return format != BlockFormat::kQ2_K && format != BlockFormat::kF16 &&
         format != BlockFormat::kBF16;
}

bool has_minima(BlockFormat format) {
  return format == BlockFormat::kQ4_1 || format == BlockFormat::kQ5_1 ||
         format == BlockFormat::kQ4_K || format == BlockFormat::kQ5_K;
}

}  // namespace lv
