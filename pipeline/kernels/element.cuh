#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "pipeline/kernels/launch.h"

// What the kernels share: eight elements at a time as float32, whatever they are stored as, and
// sums.

namespace lv::device {

constexpr int kLane = 8;  // elements that a thread reads at once

inline __device__ float to_float(float x) { return x; }
inline __device__ float to_float(__half x) { return __half2float(x); }
inline __device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
template <typename T>
__device__ T from_float(float x);
template <>
inline __device__ float from_float<float>(float x) {
  return x;
}
template <>
inline __device__ __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
inline __device__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

template <typename T>
struct alignas(16) Lane {
  T value[kLane];
};

/// Sum over the threads of a block, known to all of them. `shared` has a float for each warp.
inline __device__ float block_sum(float x, float* shared) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(~0u, x, step);
  const int warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int i = 0; i < warps; ++i) sum += shared[i];
  __syncthreads();
  return sum;
}

template <typename T>
__device__ Lane<T> sum(Lane<T> a, const Lane<T>& b) {
  for (int i = 0; i < kLane; ++i) {
    a.value[i] = from_float<T>(to_float(a.value[i]) + to_float(b.value[i]));
  }
  return a;
}

/// Calls `run` with a value of the element's type.
template <typename Run>
void with_element(Element element, Run run) {
  switch (element) {
    case Element::kFloat32:
      return run(float{});
    case Element::kFloat16:
      return run(__half{});
    case Element::kBFloat16:
      return run(__nv_bfloat16{});
  }
}

inline void check_launch(const char* kernel) {
  const cudaError_t code = cudaGetLastError();
  if (code != cudaSuccess) {
    throw std::runtime_error(std::string(kernel) + ": " + cudaGetErrorString(code));
  }
}

}  // namespace lv::device
