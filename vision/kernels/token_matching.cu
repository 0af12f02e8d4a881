#include "pipeline/kernels/element.cuh"
#include "vision/kernels/launch.h"

namespace lv::vision {
namespace {

using device::from_float;
using device::kLane;
using device::Lane;
using device::to_float;

constexpr int kWarp = 32;
constexpr int kColumnsOfThread = kMaxUnitMeanWidth / kWarp;

/// A warp a token.
template <typename T>
__global__ void unit_mean_kernel(UnitMean args) {
  const int64_t token = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  const int thread = threadIdx.x % kWarp;
  if (token >= args.groups * args.tokens) return;
  const T* x = static_cast<const T*>(args.x) + token / args.tokens * args.group_stride +
               token % args.tokens * args.token_stride;
  float mean[kColumnsOfThread];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kColumnsOfThread; ++i) {
    const int column = i * kWarp + thread;
    if (column >= args.width) break;
    float sum = 0;
    for (int64_t head = 0; head < args.heads; ++head) {
      sum += to_float(x[head * args.head_stride + column]);
    }
    mean[i] = sum / static_cast<float>(args.heads);
    squares += mean[i] * mean[i];
  }
  for (int step = kWarp / 2; step > 0; step /= 2) squares += __shfl_xor_sync(~0u, squares, step);
  const float scale = 1 / fmaxf(sqrtf(squares), 1e-30f);
#pragma unroll
  for (int i = 0; i < kColumnsOfThread; ++i) {
    const int column = i * kWarp + thread;
    if (column >= args.width) break;
    args.out[token * args.width + column] = mean[i] * scale;
  }
}

/// A block a group. A pair's rank is how many pairs go before it: those with a higher score, and
/// equal ones of a lower index.
__global__ void rank_pairs_kernel(RankPairs args) {
  __shared__ float score[kMaxPairs];
  __shared__ bool goes[kMaxPairs];
  const int pairs = static_cast<int>(args.pairs), merging = static_cast<int>(args.merging);
  const int64_t group = blockIdx.x;
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    const bool whole = args.class_token && i == 0;
    const float given = args.score[group * pairs + i];
    score[i] = whole || isnan(given) ? -INFINITY : given;  // NaN has no rank
  }
  __syncthreads();
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    const float mine = score[i];
    int rank = 0;
    for (int j = 0; j < pairs; ++j) rank += score[j] > mine || (score[j] == mine && j < i);
    goes[i] = rank < merging;
    if (goes[i]) {
      args.merged[group * merging + rank] = 2 * i;
      args.into[group * merging + rank] = 2 * args.partner[group * pairs + i] + 1;
    } else if (!args.class_token) {
      args.kept[group * (pairs - merging) + rank - merging] = 2 * i;
    }
  }
  if (!args.class_token) return;
  __syncthreads();
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    if (goes[i]) continue;
    int before = 0;
    for (int j = 0; j < i; ++j) before += !goes[j];
    args.kept[group * (pairs - merging) + before] = 2 * i;
  }
}

/// Eight columns of a token, with what is added to it.
template <typename T>
__device__ Lane<T> lane_of(const MergeRows& args, int64_t at) {
  Lane<T> lane = static_cast<const Lane<T>*>(args.features)[at];
  if (args.delta == nullptr) return lane;
  const Lane<T> delta = static_cast<const Lane<T>*>(args.delta)[at];
  for (int k = 0; k < kLane; ++k) {
    lane.value[k] = from_float<T>(to_float(lane.value[k]) + to_float(delta.value[k]));
  }
  return lane;
}

/// A block a new row; its threads share the columns.
template <typename T>
__global__ void merge_rows_kernel(MergeRows args) {
  const int64_t left = args.tokens - args.merging;
  const int64_t group = blockIdx.x / left, row = blockIdx.x % left;
  const int64_t* merged = args.merged + group * args.merging;
  const int64_t* into = args.into + group * args.merging;
  const bool odd = row >= args.keeping;
  const int64_t own = odd ? 2 * (row - args.keeping) + 1 : args.kept[group * args.keeping + row];
  const float* sizes = args.sizes + group * args.tokens;
  const int64_t lanes = args.width / kLane, first = group * args.tokens;

  float size = sizes[own];
  bool alone = true;
  if (odd) {
    for (int64_t i = 0; i < args.merging; ++i) {
      if (into[i] != own) continue;
      size += sizes[merged[i]];
      alone = false;
    }
  }
  if (threadIdx.x == 0) {
    args.new_sizes[group * left + row] = size;
    args.new_positions[group * left + row] = args.positions[first + own];
  }
  for (int64_t lane = threadIdx.x; lane < lanes; lane += blockDim.x) {
    Lane<T> mean = lane_of<T>(args, (first + own) * lanes + lane);
    if (!alone) {
      float sum[kLane];
      for (int k = 0; k < kLane; ++k) sum[k] = to_float(mean.value[k]) * sizes[own];
      for (int64_t i = 0; i < args.merging; ++i) {
        if (into[i] != own) continue;
        const Lane<T> other = lane_of<T>(args, (first + merged[i]) * lanes + lane);
        for (int k = 0; k < kLane; ++k) sum[k] += to_float(other.value[k]) * sizes[merged[i]];
      }
      for (int k = 0; k < kLane; ++k) mean.value[k] = from_float<T>(sum[k] / size);
    }
    static_cast<Lane<T>*>(args.new_features)[(group * left + row) * lanes + lane] = mean;
  }
}

/// A block a group: where each old row went, then where each place did.
__global__ void follow_rows_kernel(MergeRows args) {
  __shared__ int new_row[kMaxTokens];
  const int64_t group = blockIdx.x;
  for (int i = threadIdx.x; i < args.keeping; i += blockDim.x) {
    new_row[args.kept[group * args.keeping + i]] = i;
  }
  for (int i = threadIdx.x; i < args.tokens / 2; i += blockDim.x) {
    new_row[2 * i + 1] = static_cast<int>(args.keeping) + i;
  }
  for (int i = threadIdx.x; i < args.merging; i += blockDim.x) {
    const int64_t at = group * args.merging + i;
    new_row[args.merged[at]] = static_cast<int>(args.keeping + args.into[at] / 2);
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < args.places; i += blockDim.x) {
    const int64_t at = group * args.places + i;
    args.new_row_of[at] = new_row[args.row_of[at]];
  }
}

}  // namespace

void launch_unit_mean(const UnitMean& args, void* stream) {
  constexpr int kThreads = 256;
  const int64_t threads = args.groups * args.tokens * kWarp;
  if (threads == 0) return;
  device::with_element(args.element, [&](auto element) {
    unit_mean_kernel<decltype(element)>
        <<<(threads + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            args);
  });
  device::check_launch("unit_mean");
}

void launch_rank_pairs(const RankPairs& args, void* stream) {
  if (args.groups == 0) return;
  rank_pairs_kernel<<<args.groups, 512, 0, static_cast<cudaStream_t>(stream)>>>(args);
  device::check_launch("rank_pairs");
}

void launch_merge_rows(const MergeRows& args, void* stream) {
  const int64_t rows = args.groups * (args.tokens - args.merging);
  if (rows == 0) return;
  const int64_t lanes = args.width / kLane;
  const int threads = static_cast<int>(lanes < 256 ? (lanes + 31) / 32 * 32 : 256);
  const auto on = static_cast<cudaStream_t>(stream);
  device::with_element(args.element, [&](auto element) {
    merge_rows_kernel<decltype(element)><<<rows, threads, 0, on>>>(args);
  });
  follow_rows_kernel<<<args.groups, 512, 0, on>>>(args);
  device::check_launch("merge_rows");
}

}  // namespace lv::vision
