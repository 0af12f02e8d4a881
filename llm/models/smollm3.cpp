#include <string>

#include "llm/models/decoder.h"
#include "llm/models/models.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

/// Which layers rotate: what `no_rope_layers` says (1: it does), else all but every
/// `no_rope_layer_interval`-th.
std::vector<bool> rotating_layers(const Json& config, int64_t layers) {
  std::vector<bool> rotated;
  const Json* given = config.find("no_rope_layers");
  if (given != nullptr && !given->is_null()) {
    for (const Json& each : given->as_array()) rotated.push_back(each.as_int() != 0);
    check(static_cast<int64_t>(rotated.size()) == layers, ErrorCode::kInvalidArgument,
          "no_rope_layers: expected " + std::to_string(layers) + " entries, got " +
              std::to_string(rotated.size()));
    return rotated;
  }
  const int64_t interval = config.get("no_rope_layer_interval", 4);
  check(interval > 0, ErrorCode::kInvalidArgument,
        "no_rope_layer_interval: expected at least 1, got " + std::to_string(interval));
  for (int64_t i = 0; i < layers; ++i) rotated.push_back((i + 1) % interval != 0);
  return rotated;
}

/// Windows are for layers without positions, and only if use_sliding_window.
std::vector<int64_t> windows_of(const Json& config, const std::vector<bool>& rotated) {
  const Json* size = config.find("sliding_window");
  const bool used = config.get("use_sliding_window", false) && size != nullptr && !size->is_null();
  const int64_t window = used ? size->as_int() : 0;
  const Json* types = config.find("layer_types");
  if (used && types != nullptr && !types->is_null()) return declared_windows(config, window, 0);
  std::vector<int64_t> windows;
  for (const bool rotates : rotated) windows.push_back(rotates ? 0 : window);
  return windows;
}

}  // namespace

/// Llama whose every fourth layer knows no positions.
/// Reference: Bakouch et al., SmolLM3, Hugging Face, 2025; Yang et al., RoPE to NoPE and Back
/// Again, arXiv 2501.18795.
std::unique_ptr<CausalLm> make_smollm3(const Checkpoint& checkpoint, const LayerPlan& plan) {
  const Json& config = checkpoint.config();
  DecoderTraits traits;
  traits.rotated = rotating_layers(config, config.at("num_hidden_layers").as_int());
  traits.windows = windows_of(config, traits.rotated);
  return make_decoder(checkpoint, plan, traits);
}

}  // namespace lv::llm
