#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

using device::kLane;
using device::Lane;

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kUnroll = 4;  // pieces of a weight's row in flight

/// A warp kOut rows of the weight, for all rows of x.
template <typename T, int kRows, int kOut>
__global__ void __launch_bounds__(kThreads) few_rows_linear_kernel(FewRowsLinear args) {
  const int lanes = args.in / kLane;
  const int lane = threadIdx.x % 32;
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kOut;
  if (first >= args.out) return;
  const Lane<T>* x = static_cast<const Lane<T>*>(args.x);
  const Lane<T>* weights[kOut];
#pragma unroll
  for (int o = 0; o < kOut; ++o) {
    weights[o] = static_cast<const Lane<T>*>(args.weight) + min(first + o, args.out - 1) * lanes;
  }
  float sums[kOut][kRows] = {};
  const auto add = [&](const Lane<T>(&w)[kOut], int at) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const Lane<T> row = x[r * lanes + at];
#pragma unroll
      for (int i = 0; i < kLane; ++i) {
        const float value = device::to_float(row.value[i]);
#pragma unroll
        for (int o = 0; o < kOut; ++o) sums[o][r] += device::to_float(w[o].value[i]) * value;
      }
    }
  };
  int at = lane;
  for (; at + 32 * (kUnroll - 1) < lanes; at += 32 * kUnroll) {
    Lane<T> w[kUnroll][kOut];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
      for (int o = 0; o < kOut; ++o) w[u][o] = weights[o][at + 32 * u];
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) add(w[u], at + 32 * u);
  }
  for (; at < lanes; at += 32) {
    Lane<T> w[kOut];
#pragma unroll
    for (int o = 0; o < kOut; ++o) w[o] = weights[o][at];
    add(w, at);
  }
#pragma unroll
  for (int o = 0; o < kOut; ++o) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      for (int step = 16; step > 0; step /= 2) {
        sums[o][r] += __shfl_xor_sync(~0u, sums[o][r], step);
      }
      if (lane == 0 && first + o < args.out) {
        static_cast<T*>(args.y)[r * args.out + first + o] = device::from_float<T>(sums[o][r]);
      }
    }
  }
}

template <typename T, int kRows>
void launch(const FewRowsLinear& args, cudaStream_t stream) {
  constexpr int kWide = 8192;  // so many outputs keep the device busy with two to a warp
  const auto blocks = [&](int out) { return (args.out + kWarps * out - 1) / (kWarps * out); };
  if (args.out >= kWide) {
    few_rows_linear_kernel<T, kRows, 2><<<blocks(2), kThreads, 0, stream>>>(args);
  } else {
    few_rows_linear_kernel<T, kRows, 1><<<blocks(1), kThreads, 0, stream>>>(args);
  }
}

template <typename T>
void launch_rows(const FewRowsLinear& args, cudaStream_t stream) {
  switch (args.rows) {
    case 1:
      return launch<T, 1>(args, stream);
    case 2:
      return launch<T, 2>(args, stream);
    case 3:
      return launch<T, 3>(args, stream);
    default:
      return launch<T, 4>(args, stream);
  }
}

}  // namespace

void launch_few_rows_linear(const FewRowsLinear& args, void* stream) {
  if (args.out == 0) return;
  const auto on = static_cast<cudaStream_t>(stream);
  args.element == Element::kFloat16 ? launch_rows<__half>(args, on)
                                    : launch_rows<__nv_bfloat16>(args, on);
  device::check_launch("few_rows_linear");
}

}  // namespace lv
