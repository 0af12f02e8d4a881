#if defined(__x86_64__)
#define LV_TARGET "avx2,fma,f16c"
#define LV_MULTIPLY_ADD(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
#include "pipeline/kernels/quantized_kernels.inc"

namespace lv {
extern const QuantizedKernels kAvx2Kernels;
constinit const QuantizedKernels kAvx2Kernels = kernels_named("AVX2");
}  // namespace lv
#endif
