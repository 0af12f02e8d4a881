#include "pipeline/kernels/cpu_features.h"

namespace lv {

#if defined(__x86_64__)
bool has_avx2() {
  static const bool present = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return present;
}
#else
bool has_avx2() { return false; }
#endif

}  // namespace lv
