#if defined(__x86_64__)
#define LV_TARGET "avx2,fma,f16c,avxvnni"
#define LV_MULTIPLY_ADD(sum, a, b) _mm256_dpwssd_avx_epi32(sum, a, b)
#include "pipeline/kernels/quantized_kernels.inc"

namespace lv {
extern const QuantizedKernels kAvxVnniKernels;
constinit const QuantizedKernels kAvxVnniKernels = kernels_named("AVX-VNNI");
}  // namespace lv
#endif
