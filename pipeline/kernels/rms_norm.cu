#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

/// A block a row; each thread holds eight elements of it.
template <typename T>
__global__ void add_rms_norm_kernel(AddRmsNorm args) {
  __shared__ float shared[32];
  const int lanes = args.width / kLane;
  const int lane = threadIdx.x;
  const bool mine = lane < lanes;
  const int64_t at = int64_t{blockIdx.x} * lanes + lane;
  float x[kLane] = {};
  float squares = 0;
  if (mine) {
    Lane<T> row = static_cast<const Lane<T>*>(args.x)[at];
    if (args.delta != nullptr) {
      row = device::sum(row, static_cast<const Lane<T>*>(args.delta)[at]);
      static_cast<Lane<T>*>(args.sum)[at] = row;
    }
    for (int i = 0; i < kLane; ++i) {
      x[i] = device::to_float(row.value[i]);
      squares += x[i] * x[i];
    }
  }
  const float scale = rsqrtf(device::block_sum(squares, shared) / args.width + args.eps);
  if (!mine) return;
  const Lane<T> weight = static_cast<const Lane<T>*>(args.weight)[lane];
  Lane<T> out;
  for (int i = 0; i < kLane; ++i) {
    // Rounded before it is weighted, as checkpoints were trained.
    const T scaled = device::from_float<T>(x[i] * scale);
    out.value[i] =
        device::from_float<T>(device::to_float(scaled) * device::to_float(weight.value[i]));
  }
  static_cast<Lane<T>*>(args.norm)[at] = out;
}

}  // namespace

void launch_add_rms_norm(const AddRmsNorm& args, void* stream) {
  if (args.rows == 0) return;
  const int threads = (static_cast<int>(args.width) / kLane + 31) / 32 * 32;
  device::with_element(args.element, [&](auto element) {
    add_rms_norm_kernel<decltype(element)>
        <<<args.rows, threads, 0, static_cast<cudaStream_t>(stream)>>>(args);
  });
  device::check_launch("add_rms_norm");
}

}  // namespace lv
