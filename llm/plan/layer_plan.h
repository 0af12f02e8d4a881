#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/kv/kivi.h"
#include "llm/select/elastic_span.h"
#include "pipeline/base/json.h"

namespace lv::llm {

struct LayerChoice {
  /// Which keys the layer's queries see: none as the checkpoint has it, one for all heads, or one
  /// for each head of keys or of queries.
  std::vector<SpanRule> spans = {};
  std::optional<KiviFormat> kivi = {};  // how keys and values are coded; none: they are not
};

/// What each layer of a language model does, as data. An empty plan does what the checkpoint says.
struct LayerPlan {
  std::vector<LayerChoice> layers;            // none, one for every layer, or one each
  std::map<int64_t, LayerChoice> exceptions;  // from one for every layer
  std::optional<Json> rope;    // settings that replace the checkpoint's rope_parameters
  std::optional<Json> retain;  // what of a prompt is kept: see llm/retain/retention.h
  int64_t context_tokens = 0;  // how long a text may get; 0: as the checkpoint says
  int64_t draft_tokens = 0;    // that the engine guesses, see EngineLimits
};

/// Reads a plan:
/// {"layers": [{"mixer": "attention", "span": {"kind": "window", "size": 1024, "sinks": 4},
///              "kv": {"format": "dense"}}],
///  "rope": {"kind": "yarn", "factor": 4, "orig": 32768}, "context": 131072,
///  "retain": {"kind": "prefixkv", "keep": 0.2, "start": 4, "window": 64}}
/// Spans are "full", "window" and "per_head": {"kind": "per_head", "alpha": [0, 1024],
/// "beta": [1, 0.25], "sinks": 64} (see ElasticSpan). Formats are "dense" and
/// {"format": "kivi", "bits": 4, "group": 32, "residual": 128}, which goes with full spans alone.
/// What is left out is as in the checkpoint.
/// In place of layers, {"select": {"kind": "masformer", "full": [0, 15], "window": 1024}} keeps
/// all keys in the layers named and a window in the others (MASFormer, arXiv 2310.12442, section
/// 3), and {"select": {"kind": "moa", "alphas": [[...], ...], "betas": [[...], ...]}} has a row of
/// spans for each layer, as MoA's own files.
/// {"speculate": {"kind": "ngram", "tokens": 4}} lets the engine guess tokens.
/// Throws kInvalidArgument that names what is not known here.
LayerPlan parse_plan(const Json& plan);
/// The same from a file of JSON. Throws kNotFound if it cannot be opened.
LayerPlan read_plan(const std::string& path);

/// The choice for layer `layer` of `count`. Throws kInvalidArgument if the plan is for another
/// number of layers.
LayerChoice choice_for(const LayerPlan& plan, int64_t layer, int64_t count);

/// The spans of a choice by head of keys: one for all, or `kv_heads`. Of query heads that share a
/// head of keys the widest counts. Throws kInvalidArgument on another number of spans than `heads`
/// or `kv_heads`.
std::vector<SpanRule> spans_by_key_head(const LayerChoice& choice, int64_t heads, int64_t kv_heads);

/// The configuration with the plan's RoPE settings in it.
Json planned_config(const LayerPlan& plan, const Json& config);

}  // namespace lv::llm
