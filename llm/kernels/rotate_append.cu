#include "llm/kernels/launch.h"
#include "pipeline/kernels/element.cuh"

namespace lv::llm {
namespace {

/// A thread two dimensions of a head: a pair that turns together, or two neighbours behind those.
template <typename T>
__global__ void rotate_append_kernel(RotateAppend args) {
  const int pairs = args.width / 2;
  const int heads = args.heads + 2 * args.kv_heads;
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (thread >= args.sequences * heads * pairs) return;
  const int j = thread % pairs;
  const int head = thread / pairs % heads;
  const int64_t sequence = thread / pairs / heads;
  const bool is_query = head < args.heads;
  const bool is_key = !is_query && head < args.heads + args.kv_heads;
  const int kv_head = is_query ? 0 : (head - args.heads) % args.kv_heads;

  const T* from =
      is_query ? static_cast<const T*>(args.q) + sequence * args.q_stride + head * args.width
      : is_key ? static_cast<const T*>(args.k) + sequence * args.k_stride + kv_head * args.width
               : static_cast<const T*>(args.v) + sequence * args.v_stride + kv_head * args.width;
  const bool turns = j < args.half && (is_query || is_key);
  const int first = j < args.half ? j : 2 * j;
  const int second = j < args.half ? j + args.half : 2 * j + 1;
  T x = from[first];
  T y = from[second];
  if (turns) {
    const float a = device::to_float(x);
    const float b = device::to_float(y);
    const float cos = args.cos[sequence * args.half + j];
    const float sin = args.sin[sequence * args.half + j];
    x = device::from_float<T>(a * cos - b * sin);
    y = device::from_float<T>(b * cos + a * sin);
  }
  T* to;
  if (is_query) {
    to = static_cast<T*>(args.q) + sequence * args.q_stride + head * args.width;
  } else {
    const int32_t* plan = args.plans + sequence * (4 + args.most_pages);
    const int token = max(plan[1], plan[3]) - 1;
    if (token < 0) return;
    const int slots = args.slots;
    const int64_t slot = int64_t{plan[4 + token / slots]} * slots + token % slots;
    to = static_cast<T*>(is_key ? args.keys : args.values) +
         (slot * args.kv_heads + kv_head) * args.width;
  }
  to[first] = x;
  to[second] = y;
}

}  // namespace

void launch_rotate_append(const RotateAppend& args, void* stream) {
  constexpr int kThreads = 256;
  const int64_t threads = args.sequences * (args.heads + 2 * args.kv_heads) * (args.width / 2);
  if (threads == 0) return;
  device::with_element(args.element, [&](auto kind) {
    rotate_append_kernel<decltype(kind)>
        <<<(threads + kThreads - 1) / kThreads, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
            args);
  });
  device::check_launch("rotate_append");
}

}  // namespace lv::llm
