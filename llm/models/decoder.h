#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "llm/models/causal_lm.h"
#include "llm/plan/layer_plan.h"
#include "pipeline/base/json.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {

/// How a family differs from Llama. Biases are read where a checkpoint has them.
struct DecoderTraits {
  std::vector<int64_t> windows;    // keys each layer sees, 0 for all; empty: all in every layer
  std::vector<bool> rotated = {};  // whether each layer rotates queries and keys; empty: all do
  bool qk_norm = false;            // RmsNorm of each query and key head
};

/// A decoder of the Llama family: RMS norms before attention and before a gated MLP, rotary
/// positions, grouped key heads. A window that the plan names wins over the family's.
std::unique_ptr<CausalLm> make_decoder(const Checkpoint& checkpoint, const LayerPlan& plan,
                                       const DecoderTraits& traits);

/// One window a layer: what `layer_types` says, else `window` for layers from `first` on.
std::vector<int64_t> declared_windows(const Json& config, int64_t window, int64_t first);

/// Qwen's rule: sliding_window counts only if use_sliding_window, from max_window_layers on.
std::vector<int64_t> qwen_windows(const Json& config);

}  // namespace lv::llm
