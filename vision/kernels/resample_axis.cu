#include "pipeline/kernels/element.cuh"
#include "vision/kernels/launch.h"

namespace lv::vision {
namespace {

constexpr int kThreads = 256;

/// A thread a byte. The sums are whole numbers, so that they are those of the CPU.
__global__ void resample_axis_kernel(ResampleAxis args) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= args.outer * args.out_size * args.inner) return;
  const int64_t inner = at % args.inner;
  const int64_t place = at / args.inner % args.out_size;
  const int64_t outer = at / args.inner / args.out_size;
  const int32_t* weights = args.weights + place * args.taps;
  const uint8_t* in =
      args.in + outer * args.outer_stride + args.first[place] * args.axis_stride + inner;
  int32_t sum = 1 << (kResampleBits - 1);
  for (int32_t tap = 0; tap < args.count[place]; ++tap) {
    sum += weights[tap] * in[tap * args.axis_stride];
  }
  args.out[at] = static_cast<uint8_t>(min(max(sum >> kResampleBits, 0), 255));
}

}  // namespace

void launch_resample_axis(const ResampleAxis& args, void* stream) {
  const int64_t bytes = args.outer * args.out_size * args.inner;
  if (bytes == 0) return;
  resample_axis_kernel<<<(bytes + kThreads - 1) / kThreads, kThreads, 0,
                         static_cast<cudaStream_t>(stream)>>>(args);
  device::check_launch("resample_axis");
}

}  // namespace lv::vision
