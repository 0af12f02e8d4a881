#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/base/json.h"

namespace lv::llm {

/// Which keys a layer's queries see.
enum class Span { kCheckpoint, kFull, kWindow };

struct LayerChoice {
  Span span = Span::kCheckpoint;
  int64_t window = 0;  // of kWindow: keys seen, the token itself included
  int64_t sinks = 0;   // and the first ones
};

/// What each layer of a language model does, as data. An empty plan does what the checkpoint says.
struct LayerPlan {
  std::vector<LayerChoice> layers;  // none, one for every layer, or one each
  std::optional<Json> rope;         // settings that replace the checkpoint's rope_parameters
  int64_t context_tokens = 0;       // how long a text may get; 0: as the checkpoint says
};

/// Reads a plan:
/// {"layers": [{"mixer": "attention", "span": {"kind": "window", "size": 1024, "sinks": 4},
///              "kv": {"format": "dense"}}],
///  "rope": {"kind": "yarn", "factor": 4, "orig": 32768}, "context": 131072}
/// Spans are "full" and "window"; what is left out is as in the checkpoint.
/// Throws kInvalidArgument that names what is not known here.
LayerPlan parse_plan(const Json& plan);

/// The choice for layer `layer` of `count`. Throws kInvalidArgument if the plan is for another
/// number of layers.
LayerChoice choice_for(const LayerPlan& plan, int64_t layer, int64_t count);

/// The configuration with the plan's RoPE settings in it.
Json planned_config(const LayerPlan& plan, const Json& config);

}  // namespace lv::llm
