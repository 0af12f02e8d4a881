#if defined(__x86_64__)
#define LV_TARGET "avx2,fma,f16c,avx512f,avx512vl,avx512vnni"
#define LV_MULTIPLY_ADD(sum, a, b) _mm256_dpwssd_epi32(sum, a, b)
#include "pipeline/kernels/quantized_kernels.inc"

namespace lv {
extern const QuantizedKernels kAvx512VnniKernels;
constinit const QuantizedKernels kAvx512VnniKernels = kernels_named("AVX-512 VNNI");
}  // namespace lv
#endif
