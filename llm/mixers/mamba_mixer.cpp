#include "llm/mixers/mamba_mixer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

namespace lv::llm {
namespace {

constexpr const char* kConv = "conv";
constexpr const char* kSsm = "ssm";

/// Calls f(s, first row, row behind the last) for each sequence.
template <class F>
void for_each_sequence(const PackedBatch& batch, F f) {
  const int32_t* offsets = batch.offsets.const_data_ptr<int32_t>();
  for (size_t s = 0; s < batch.sequences.size(); ++s) f(s, offsets[s], offsets[s + 1]);
}

/// Whether each sequence reads one token.
bool all_single(const PackedBatch& batch) {
  bool single = !batch.sequences.empty();
  for_each_sequence(batch, [&](size_t, int64_t begin, int64_t end) { single &= end - begin == 1; });
  return single;
}

}  // namespace

MambaMixer::MambaMixer(const WeightScope& scope, const MambaSizes& sizes)
    : sizes_(sizes),
      in_(scope / "in_proj", sizes.width, 2 * sizes.channels),
      x_(scope / "x_proj", sizes.channels, sizes.time_step_rank + 2 * sizes.states),
      // Its bias is added in float32, see scan_input().
      dt_((scope / "dt_proj").matrix("weight", sizes.channels, sizes.time_step_rank), at::Tensor()),
      out_(scope / "out_proj", sizes.channels, sizes.width) {
  const WeightScope wide = scope.as(at::kFloat);
  const WeightScope conv = wide / "conv1d";
  conv_weight_ =
      conv.get("weight", {sizes.channels, 1, sizes.conv_width}).squeeze(1).t().contiguous();
  if (conv.has("bias")) conv_bias_ = conv.get("bias", {sizes.channels});
  dt_bias_ = (wide / "dt_proj").get("bias", {sizes.channels});
  a_ = wide.get("A_log", {sizes.channels, sizes.states}).exp().neg();
  skip_ = wide.get("D", {sizes.channels});
}

at::Tensor MambaMixer::operator()(const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                                  StateStore& states) const {
  const at::Tensor both = in_(x);  // [n, 2 Di]
  const at::Tensor gate = both.slice(1, sizes_.channels).to(at::kFloat);
  const at::Tensor u =
      convolve(both.slice(1, 0, sizes_.channels).to(at::kFloat), batch, layer, states);
  at::Tensor y = scan(scan_input(u, x.scalar_type()), batch, layer, states);  // [n, Di]
  y = y.addcmul_(u, skip_).mul_(at::silu(gate));
  return out_(y.to(x.scalar_type()));
}

at::Tensor MambaMixer::convolve(const at::Tensor& x, const PackedBatch& batch, int64_t layer,
                                StateStore& states) const {
  const int64_t past = sizes_.conv_width - 1;
  at::Tensor out = at::empty(x.sizes(), x.options());
  for_each_sequence(batch, [&](size_t s, int64_t begin, int64_t end) {
    at::Tensor before = states.get(batch.sequences[s], layer, kConv);
    if (!before.defined()) before = at::zeros({past, sizes_.channels}, x.options());
    const at::Tensor all = at::cat({before, x.slice(0, begin, end)});  // [K - 1 + m, Di]
    at::Tensor sum = all.slice(0, 0, end - begin) * conv_weight_[0];
    for (int64_t k = 1; k <= past; ++k) {
      sum.addcmul_(all.slice(0, k, k + end - begin), conv_weight_[k]);
    }
    if (conv_bias_.defined()) sum.add_(conv_bias_);
    out.slice(0, begin, end).copy_(at::silu_(sum));
    // A copy: a view would keep the whole prompt.
    states.set(batch.sequences[s], layer, kConv, all.slice(0, end - begin).clone());
  });
  return out;
}

ScanInput MambaMixer::scan_input(const at::Tensor& u, at::ScalarType dtype) const {
  const at::Tensor all = x_(u.to(dtype));  // [n, R + 2 S]
  const int64_t b = sizes_.time_step_rank;
  const int64_t c = b + sizes_.states;
  const at::Tensor delta = at::softplus(dt_(all.slice(1, 0, b)).to(at::kFloat) + dt_bias_);
  return {u, delta, a_, all.slice(1, b, c).to(at::kFloat), all.slice(1, c).to(at::kFloat)};
}

at::Tensor MambaMixer::scan(const ScanInput& input, const PackedBatch& batch, int64_t layer,
                            StateStore& states) const {
  if (batch.sequences.size() > 1 && all_single(batch)) {
    std::vector<at::Tensor> before;
    for (const SequenceId sequence : batch.sequences) {
      const at::Tensor state = states.get(sequence, layer, kSsm);
      before.push_back(state.defined() ? state : at::zeros(a_.sizes(), a_.options()));
    }
    const ScanResult result = selective_step(input, at::stack(before));
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      states.set(batch.sequences[s], layer, kSsm, result.state[static_cast<int64_t>(s)].clone());
    }
    return result.y;
  }
  at::Tensor y = at::empty(input.u.sizes(), input.u.options());
  for_each_sequence(batch, [&](size_t s, int64_t begin, int64_t end) {
    const auto rows = [&](const at::Tensor& x) { return x.slice(0, begin, end); };
    const ScanInput own{rows(input.u), rows(input.delta), input.a, rows(input.b), rows(input.c)};
    ScanResult result = selective_scan(own, states.get(batch.sequences[s], layer, kSsm));
    rows(y).copy_(result.y);
    states.set(batch.sequences[s], layer, kSsm, std::move(result.state));
  });
  return y;
}

}  // namespace lv::llm
