#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

template <typename T>
__global__ void gated_silu_kernel(Lane<T>* gate, const Lane<T>* up, int64_t lanes) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= lanes) return;
  Lane<T> lane = gate[at];
  const Lane<T> by = up[at];
  for (int i = 0; i < kLane; ++i) {
    const float wide = device::to_float(lane.value[i]);
    // Rounded before it is multiplied, as checkpoints were trained.
    const T silu = device::from_float<T>(wide / (1 + __expf(-wide)));
    lane.value[i] = device::from_float<T>(device::to_float(silu) * device::to_float(by.value[i]));
  }
  gate[at] = lane;
}

}  // namespace

void launch_gated_silu(void* gate, const void* up, Element element, int64_t count, void* stream) {
  constexpr int kThreads = 256;
  const int64_t lanes = count / kLane;
  if (lanes == 0) return;
  device::with_element(element, [&](auto kind) {
    using T = decltype(kind);
    gated_silu_kernel<T>
        <<<(lanes + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            static_cast<Lane<T>*>(gate), static_cast<const Lane<T>*>(up), lanes);
  });
  device::check_launch("gated_silu");
}

}  // namespace lv
