#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv::llm {

/// What a selective state space reads, token by token, all float32. Di channels, each with S
/// states.
struct ScanInput {
  at::Tensor u;      // [n, Di]
  at::Tensor delta;  // [n, Di], 0 or more: how long each token acts
  at::Tensor a;      // [Di, S], below 0: how fast each state decays
  at::Tensor b, c;   // [n, S]: what a token writes to the states and reads from them
};

struct ScanResult {
  at::Tensor y;      // [n, Di]
  at::Tensor state;  // [Di, S] after the last token; of selective_step() [n, Di, S]
};

/// h = exp(delta a) h + delta b u;  y = c h, over the tokens of one sequence that `state` [Di, S]
/// has read the beginning of; undefined is the start. `state` is not written. Works in chunks, so
/// that memory does not grow with n Di S. Throws kInvalidArgument on shapes that do not fit.
/// Reference: Gu and Dao, Mamba, arXiv 2312.00752, section 3.3.
ScanResult selective_scan(const ScanInput& input, const at::Tensor& state);

/// One token each of n sequences with states [n, Di, S].
ScanResult selective_step(const ScanInput& input, const at::Tensor& states);

/// The same as selective_scan() in float64, token by token: what it is tested against.
ScanResult selective_scan_reference(const ScanInput& input, const at::Tensor& state);

}  // namespace lv::llm
