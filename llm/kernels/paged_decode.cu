#include "llm/kernels/launch.h"
#include "pipeline/kernels/element.cuh"

namespace lv::llm {
namespace {

using device::kLane;
using device::Lane;

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kUnroll = 4;  // tokens of a team in flight: hides how long memory takes
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kHidden = -INFINITY;
constexpr int kMinSplitTokens = 64;  // fewer are not worth a block

/// Of `seen` tokens in so many splits, whole strides of a block.
__device__ int split_tokens(int seen, int64_t splits, int stride) {
  const int share = max(kMinSplitTokens, static_cast<int>((seen + splits - 1) / splits));
  return (share + stride - 1) / stride * stride;
}

/// Softmax-weighted sums under way for some heads: this thread's eight dimensions of each.
template <int kHeads>
struct Running {
  float sums[kHeads][kLane];
  float largest[kHeads];
  float weight[kHeads];

  /// Takes in another's sums over other tokens.
  __device__ void merge(int h, float other_largest, float other_weight, const float* other_sums) {
    const float most = fmaxf(largest[h], other_largest);
    if (most == kHidden) return;
    const float kept = exp2f(largest[h] - most);
    const float added = exp2f(other_largest - most);
    largest[h] = most;
    weight[h] = weight[h] * kept + other_weight * added;
    for (int i = 0; i < kLane; ++i) sums[h][i] = sums[h][i] * kept + other_sums[i] * added;
  }
};

/// A block for kHeads query heads of a key head, and one split of a sequence's tokens (split keys:
/// Flash-Decoding, Dao et al. 2023). A team of kWidth / 8 threads holds one token at a time.
template <typename T, int kWidth, int kHeads>
__global__ void __launch_bounds__(kThreads) paged_decode_kernel(PagedDecode args) {
  constexpr int kTeam = kWidth / kLane;
  constexpr int kTeams = kThreads / kTeam;
  __shared__ float shared_largest[kWarps][kHeads], shared_weight[kWarps][kHeads];
  __shared__ float shared_sums[kWarps][kHeads][kWidth];

  const int group = args.heads / args.kv_heads;
  const int chunks = (group + kHeads - 1) / kHeads;
  const int kv_head = blockIdx.y / chunks;
  const int first = (blockIdx.y % chunks) * kHeads;
  const int heads = min(kHeads, group - first);
  const int64_t sequence = blockIdx.z;
  const int64_t query = sequence * args.heads + kv_head * group + first;

  const int32_t* plan = args.plans + sequence * (4 + args.most_pages);
  const int32_t* pages = plan + 4;
  const int early = plan[1] - plan[0];
  const int seen = early + plan[3] - plan[2];
  const int split = split_tokens(seen, args.splits, kTeams * kUnroll);
  const int begin = blockIdx.x * split;
  const int end = min(begin + split, seen);
  const int slots = args.slots;
  const int lane = threadIdx.x % kTeam;
  const int team = threadIdx.x / kTeam;

  float q[kHeads][kLane];
  Running<kHeads> mine;
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    mine.largest[h] = kHidden;
    mine.weight[h] = 0;
    Lane<T> row = {};
    if (h < heads) {
      const int64_t at = sequence * (args.q_stride / kLane) + (kv_head * group + first + h) * kTeam;
      row = static_cast<const Lane<T>*>(args.q)[at + lane];
    }
    for (int i = 0; i < kLane; ++i) {
      q[h][i] = device::to_float(row.value[i]) * args.scale * kLog2e;
      mine.sums[h][i] = 0;
    }
  }

  for (int base = begin; base < end; base += kTeams * kUnroll) {
    Lane<T> keys[kUnroll], values[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int at = base + u * kTeams + team;
      keys[u] = {};
      values[u] = {};
      if (at >= end) continue;
      const int token = at < early ? plan[0] + at : plan[2] + at - early;
      const int64_t place = int64_t{pages[token / slots]} * slots + token % slots;
      const int64_t row = (place * args.kv_heads + kv_head) * kTeam + lane;
      keys[u] = static_cast<const Lane<T>*>(args.keys)[row];
      values[u] = static_cast<const Lane<T>*>(args.values)[row];
    }
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      float scores[kUnroll];
      float most = mine.largest[h];
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        float dot = 0;
        for (int i = 0; i < kLane; ++i) dot += q[h][i] * device::to_float(keys[u].value[i]);
        for (int step = kTeam / 2; step > 0; step /= 2) dot += __shfl_xor_sync(~0u, dot, step);
        scores[u] = base + u * kTeams + team < end ? dot : kHidden;
        most = fmaxf(most, scores[u]);
      }
      const float base_score = most == kHidden ? 0 : most;
      const float kept = exp2f(mine.largest[h] - base_score);
      mine.largest[h] = most;
      mine.weight[h] *= kept;
      for (int i = 0; i < kLane; ++i) mine.sums[h][i] *= kept;
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const float share = exp2f(scores[u] - base_score);
        mine.weight[h] += share;
        for (int i = 0; i < kLane; ++i) {
          mine.sums[h][i] += share * device::to_float(values[u].value[i]);
        }
      }
    }
  }

  // The teams of a warp, then the warps of the block.
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    for (int step = kTeam; step < 32; step *= 2) {
      const float largest = __shfl_xor_sync(~0u, mine.largest[h], step);
      const float weight = __shfl_xor_sync(~0u, mine.weight[h], step);
      float sums[kLane];
      for (int i = 0; i < kLane; ++i) sums[i] = __shfl_xor_sync(~0u, mine.sums[h][i], step);
      mine.merge(h, largest, weight, sums);
    }
  }
  const int warp = threadIdx.x / 32;
  if (threadIdx.x % 32 < kTeam) {
#pragma unroll
    for (int h = 0; h < kHeads; ++h) {
      for (int i = 0; i < kLane; ++i) shared_sums[warp][h][lane * kLane + i] = mine.sums[h][i];
      if (lane == 0) {
        shared_largest[warp][h] = mine.largest[h];
        shared_weight[warp][h] = mine.weight[h];
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < heads * kWidth; i += kThreads) {
    const int h = i / kWidth;
    const int d = i % kWidth;
    float most = kHidden;
    for (int w = 0; w < kWarps; ++w) most = fmaxf(most, shared_largest[w][h]);
    float weight = 0;
    float sum = 0;
    for (int w = 0; w < kWarps && most != kHidden; ++w) {
      const float share = exp2f(shared_largest[w][h] - most);
      weight += shared_weight[w][h] * share;
      sum += shared_sums[w][h][d] * share;
    }
    const int64_t part = (query + h) * args.splits + blockIdx.x;
    const float mean = weight > 0 ? sum / weight : 0;
    const float lse = weight > 0 ? (most + log2f(weight)) / kLog2e : kHidden;
    if (args.splits > 1) {
      args.sums[part * kWidth + d] = mean;
    } else {
      static_cast<T*>(args.out)[part * kWidth + d] = device::from_float<T>(mean);
    }
    if (d == 0) (args.splits > 1 ? args.part_lse : args.lse)[part] = lse;
  }
}

/// A block a query head; each thread merges the splits of one dimension.
template <typename T>
__global__ void merge_splits_kernel(PagedDecode args) {
  const int64_t query = blockIdx.x;
  const float* lse = args.part_lse + query * args.splits;
  float most = kHidden;
  for (int i = 0; i < args.splits; ++i) most = fmaxf(most, lse[i]);
  float weight = 0;
  float sum = 0;
  for (int i = 0; i < args.splits && most != kHidden; ++i) {
    const float share = expf(lse[i] - most);
    weight += share;
    sum += share * args.sums[(query * args.splits + i) * args.width + threadIdx.x];
  }
  static_cast<T*>(args.out)[query * args.width + threadIdx.x] =
      device::from_float<T>(weight > 0 ? sum / weight : 0);
  if (threadIdx.x == 0) args.lse[query] = weight > 0 ? most + logf(weight) : kHidden;
}

template <typename T, int kWidth, int kHeads>
void launch(const PagedDecode& args, cudaStream_t stream) {
  const int64_t group = args.heads / args.kv_heads;
  const dim3 grid(args.splits, args.kv_heads * ((group + kHeads - 1) / kHeads), args.sequences);
  paged_decode_kernel<T, kWidth, kHeads><<<grid, kThreads, 0, stream>>>(args);
  if (args.splits > 1)
    merge_splits_kernel<T><<<args.sequences * args.heads, kWidth, 0, stream>>>(args);
}

template <typename T, int kWidth>
void launch_width(const PagedDecode& args, cudaStream_t stream) {
  const int64_t group = args.heads / args.kv_heads;
  if (group == 1) return launch<T, kWidth, 1>(args, stream);
  if (group == 2) return launch<T, kWidth, 2>(args, stream);
  if (group == 3) return launch<T, kWidth, 3>(args, stream);
  launch<T, kWidth, 4>(args, stream);
}

}  // namespace

void launch_paged_decode(const PagedDecode& args, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  device::with_element(args.element, [&](auto kind) {
    using T = decltype(kind);
    args.width == 64 ? launch_width<T, 64>(args, on) : launch_width<T, 128>(args, on);
  });
  device::check_launch("paged_decode");
}

}  // namespace lv::llm
