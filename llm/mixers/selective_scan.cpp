#include "llm/mixers/selective_scan.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "pipeline/base/check_shape.h"

namespace lv::llm {
namespace {

constexpr int64_t kChunkNumbers = 1 << 20;  // of tokens x channels x states
constexpr int64_t kLongestChunk = 256;

struct ScanSizes {
  int64_t n, channels, states;
};

ScanSizes check_input(const ScanInput& input) {
  check_shape(input.u, "scan u", {-1, -1});
  check_shape(input.a, "scan a", {input.u.size(1), -1});
  const ScanSizes sizes{input.u.size(0), input.u.size(1), input.a.size(1)};
  check_shape(input.delta, "scan delta", {sizes.n, sizes.channels});
  check_shape(input.b, "scan b", {sizes.n, sizes.states});
  check_shape(input.c, "scan c", {sizes.n, sizes.states});
  return sizes;
}

/// The state to go on from, in memory of its own.
at::Tensor own_state(const at::Tensor& state, const ScanInput& input, const ScanSizes& sizes) {
  if (!state.defined()) return at::zeros({sizes.channels, sizes.states}, input.u.options());
  check_shape(state, "scan state", {sizes.channels, sizes.states});
  return state.clone(at::MemoryFormat::Contiguous);
}

/// One chunk on the CPU: each channel's states stay in its core's cache.
void scan_cpu(const ScanInput& chunk, at::Tensor& state, at::Tensor& y) {
  const ScanSizes sizes = check_input(chunk);
  const at::Tensor decays = (chunk.delta.unsqueeze(2) * chunk.a).exp_().contiguous();  // [n, Di, S]
  const at::Tensor inputs = (chunk.delta * chunk.u).contiguous();                      // [n, Di]
  const at::Tensor b = chunk.b.contiguous();
  const at::Tensor c = chunk.c.contiguous();
  const float* decay = decays.const_data_ptr<float>();
  const float* input = inputs.const_data_ptr<float>();
  const float* writes = b.const_data_ptr<float>();
  const float* reads = c.const_data_ptr<float>();
  float* states = state.mutable_data_ptr<float>();
  float* out = y.mutable_data_ptr<float>();
  at::parallel_for(0, sizes.channels, 64, [&](int64_t first, int64_t last) {
    for (int64_t d = first; d < last; ++d) {
      float* h = states + d * sizes.states;
      for (int64_t t = 0; t < sizes.n; ++t) {
        const float* keep = decay + (t * sizes.channels + d) * sizes.states;
        const float* write = writes + t * sizes.states;
        const float* read = reads + t * sizes.states;
        const float x = input[t * sizes.channels + d];
        float sum = 0;
        for (int64_t s = 0; s < sizes.states; ++s) {
          h[s] = keep[s] * h[s] + x * write[s];
          sum += read[s] * h[s];
        }
        out[t * sizes.channels + d] = sum;
      }
    }
  });
}

/// One chunk as log2(n) whole-tensor steps: (a, x) then (a', x') make (a a', a' x + x').
void scan_by_doubling(const ScanInput& chunk, at::Tensor& state, at::Tensor& y) {
  const int64_t n = chunk.u.size(0);
  at::Tensor decay = (chunk.delta.unsqueeze(2) * chunk.a).exp_();              // [n, Di, S]
  at::Tensor h = (chunk.delta * chunk.u).unsqueeze(2) * chunk.b.unsqueeze(1);  // [n, Di, S]
  h[0].add_(decay[0] * state);
  for (int64_t step = 1; step < n; step *= 2) {
    const at::Tensor late = decay.slice(0, step);
    h = at::cat(
        {h.slice(0, 0, step), at::addcmul(h.slice(0, step), late, h.slice(0, 0, n - step))});
    decay = at::cat({decay.slice(0, 0, step), late * decay.slice(0, 0, n - step)});
  }
  y.copy_(at::matmul(h, chunk.c.unsqueeze(2)).squeeze(2));
  state.copy_(h[n - 1]);
}

}  // namespace

ScanResult selective_scan(const ScanInput& input, const at::Tensor& state) {
  const ScanSizes sizes = check_input(input);
  ScanResult result{at::empty(input.u.sizes(), input.u.options()), own_state(state, input, sizes)};
  const int64_t width = std::max<int64_t>(1, sizes.channels * sizes.states);
  const int64_t chunk = std::clamp<int64_t>(kChunkNumbers / width, 1, kLongestChunk);
  const bool cpu = input.u.is_cpu() && input.u.scalar_type() == at::kFloat;
  for (int64_t begin = 0; begin < sizes.n; begin += chunk) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, begin, begin + chunk); };
    const ScanInput part{rows(input.u), rows(input.delta), input.a, rows(input.b), rows(input.c)};
    at::Tensor y = rows(result.y);
    (cpu ? scan_cpu : scan_by_doubling)(part, result.state, y);
  }
  return result;
}

ScanResult selective_step(const ScanInput& input, const at::Tensor& states) {
  const ScanSizes sizes = check_input(input);
  check_shape(states, "scan states", {sizes.n, sizes.channels, sizes.states});
  const at::Tensor decay = (input.delta.unsqueeze(2) * input.a).exp_();  // [n, Di, S]
  const at::Tensor written = (input.delta * input.u).unsqueeze(2) * input.b.unsqueeze(1);
  const at::Tensor after = at::addcmul(written, decay, states);
  return {at::matmul(after, input.c.unsqueeze(2)).squeeze(2), after};
}

ScanResult selective_scan_reference(const ScanInput& input, const at::Tensor& state) {
  const ScanSizes sizes = check_input(input);
  const auto wide = [](const at::Tensor& x) { return x.to(at::kDouble); };
  at::Tensor h = wide(own_state(state, input, sizes));
  std::vector<at::Tensor> y;
  for (int64_t t = 0; t < sizes.n; ++t) {
    const at::Tensor delta = wide(input.delta[t]).unsqueeze(1);  // [Di, 1]
    h = (delta * wide(input.a)).exp() * h +
        delta * wide(input.u[t]).unsqueeze(1) * wide(input.b[t]).unsqueeze(0);
    y.push_back(at::matmul(h, wide(input.c[t])));
  }
  const at::Tensor all = y.empty() ? at::empty({0, sizes.channels}, h.options()) : at::stack(y);
  return {all.to(input.u.scalar_type()), h.to(input.u.scalar_type())};
}

}  // namespace lv::llm
