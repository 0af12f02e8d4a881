#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

template <typename T>
__global__ void gated_silu_kernel(GatedSilu args) {
  const int64_t lanes = args.width / kLane;
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= args.rows * lanes) return;
  const int64_t from = at / lanes * (args.stride / kLane) + at % lanes;
  Lane<T> lane = static_cast<const Lane<T>*>(args.gate)[from];
  const Lane<T> by = static_cast<const Lane<T>*>(args.up)[from];
  for (int i = 0; i < kLane; ++i) {
    const float wide = device::to_float(lane.value[i]);
    // Rounded before it is multiplied, as checkpoints were trained.
    const T silu = device::from_float<T>(wide / (1 + __expf(-wide)));
    lane.value[i] = device::from_float<T>(device::to_float(silu) * device::to_float(by.value[i]));
  }
  static_cast<Lane<T>*>(args.out)[at] = lane;
}

}  // namespace

void launch_gated_silu(const GatedSilu& args, void* stream) {
  constexpr int kThreads = 256;
  const int64_t lanes = args.rows * (args.width / kLane);
  if (lanes == 0) return;
  device::with_element(args.element, [&](auto kind) {
    gated_silu_kernel<decltype(kind)>
        <<<(lanes + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            args);
  });
  device::check_launch("gated_silu");
}

}  // namespace lv
