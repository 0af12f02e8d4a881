#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

/// A block a row; each thread holds eight elements of it.
template <typename T>
__global__ void add_layer_norm_kernel(AddLayerNorm args) {
  __shared__ float shared[32];
  const int lanes = args.width / kLane;
  const int lane = threadIdx.x;
  const bool mine = lane < lanes;
  const int64_t at = int64_t{blockIdx.x} * lanes + lane;
  float x[kLane] = {};
  float sum = 0;
  if (mine) {
    Lane<T> row = static_cast<const Lane<T>*>(args.x)[at];
    if (args.delta != nullptr) {
      row = device::sum(row, static_cast<const Lane<T>*>(args.delta)[at]);
      static_cast<Lane<T>*>(args.sum)[at] = row;
    }
    for (int i = 0; i < kLane; ++i) {
      x[i] = device::to_float(row.value[i]);
      sum += x[i];
    }
  }
  const float mean = device::block_sum(sum, shared) / args.width;
  float squares = 0;
  if (mine) {
    for (int i = 0; i < kLane; ++i) squares += (x[i] - mean) * (x[i] - mean);
  }
  const float scale = rsqrtf(device::block_sum(squares, shared) / args.width + args.eps);
  if (!mine) return;
  const Lane<T> weight = static_cast<const Lane<T>*>(args.weight)[lane];
  const Lane<T> bias = static_cast<const Lane<T>*>(args.bias)[lane];
  Lane<T> out;
  for (int i = 0; i < kLane; ++i) {
    out.value[i] = device::from_float<T>((x[i] - mean) * scale * device::to_float(weight.value[i]) +
                                         device::to_float(bias.value[i]));
  }
  static_cast<Lane<T>*>(args.norm)[at] = out;
}

}  // namespace

bool has_cuda_kernels() { return true; }

void launch_add_layer_norm(const AddLayerNorm& args, void* stream) {
  if (args.rows == 0) return;
  const int threads = (static_cast<int>(args.width) / kLane + 31) / 32 * 32;
  device::with_element(args.element, [&](auto element) {
    add_layer_norm_kernel<decltype(element)>
        <<<args.rows, threads, 0, static_cast<cudaStream_t>(stream)>>>(args);
  });
  device::check_launch("add_layer_norm");
}

}  // namespace lv
