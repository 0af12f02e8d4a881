#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

/// A thread a pair of dimensions.
template <typename T>
__global__ void rotate_kernel(Rotate args) {
  const int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= args.rows * args.heads * args.half) return;
  const int64_t j = at % args.half;
  const int64_t head = at / args.half;
  const int64_t row = head / args.heads;
  const int64_t angle = row * args.half + j;
  T* x = static_cast<T*>(args.x) + row * args.stride + head % args.heads * args.width + j;
  const float a = device::to_float(x[0]);
  const float b = device::to_float(x[args.half]);
  const float cos = args.cos[angle];
  const float sin = args.sin[angle];
  x[0] = device::from_float<T>(a * cos - b * sin);
  x[args.half] = device::from_float<T>(b * cos + a * sin);
}

}  // namespace

void launch_rotate(const Rotate& args, void* stream) {
  constexpr int kThreads = 256;
  const int64_t pairs = args.rows * args.heads * args.half;
  if (pairs == 0) return;
  device::with_element(args.element, [&](auto kind) {
    rotate_kernel<decltype(kind)>
        <<<(pairs + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            args);
  });
  device::check_launch("rotate");
}

}  // namespace lv
