#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

template <typename T>
__global__ void quick_gelu_kernel(Lane<T>* x, int64_t lanes) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= lanes) return;
  Lane<T> lane = x[at];
  for (T& value : lane.value) {
    const float wide = device::to_float(value);
    value = device::from_float<T>(wide / (1 + __expf(-1.702f * wide)));
  }
  x[at] = lane;
}

}  // namespace

void launch_quick_gelu(void* x, Element element, int64_t count, void* stream) {
  constexpr int kThreads = 256;
  const int64_t lanes = count / kLane;
  if (lanes == 0) return;
  device::with_element(element, [&](auto kind) {
    using T = decltype(kind);
    quick_gelu_kernel<T>
        <<<(lanes + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            static_cast<Lane<T>*>(x), lanes);
  });
  device::check_launch("quick_gelu");
}

}  // namespace lv
