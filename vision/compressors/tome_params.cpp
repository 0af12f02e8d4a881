#include "vision/compressors/tome_params.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

/// The first of `keys` that is given, or nothing.
std::string given(const Params& params, std::initializer_list<const char*> keys) {
  const auto found =
      std::ranges::find_if(keys, [&](const char* key) { return params.values().contains(key); });
  return found == keys.end() ? std::string() : *found;
}

/// The value of a key that is one of two words; nothing if it is absent.
template <class T>
std::optional<T> word(Params& params, const char* key, std::pair<const char*, T> first,
                      std::pair<const char*, T> second) {
  const std::string value = params.get(key, "");
  if (value.empty()) return std::nullopt;
  if (value == first.first) return first.second;
  check(value == second.first, ErrorCode::kInvalidArgument,
        std::string("tome.") + key + ": expected " + first.first + " or " + second.first +
            ", got " + value);
  return second.second;
}

TomeParams::At place(Params& params) {
  using At = TomeParams::At;
  const auto asked = word<At>(params, "at", {"layers", At::kLayers}, {"tokens", At::kTokens})
                         .value_or(At::kEither);
  const std::string of_tokens = given(params, {"tokens", "over", "steps"}),
                    of_layers = given(params, {"schedule", "prop_attn"});
  const bool layers = asked == At::kLayers || !of_layers.empty();
  const bool tokens = asked == At::kTokens || !of_tokens.empty();
  const std::string odd = asked == At::kTokens ? of_layers : of_tokens;
  check(!(layers && tokens), ErrorCode::kInvalidArgument,
        "tome." + odd + ": merging " +
            (asked == At::kTokens ? "what the encoder gives (at=tokens)"
                                  : "between the encoder's layers (at=layers)") +
            " does not know it");
  return layers ? At::kLayers : tokens ? At::kTokens : At::kEither;
}

}  // namespace

TomeParams::TomeParams(Params params)
    : budget(params, "tome"),
      keep(params.get("keep", 1.0)),
      steps(params.get("steps", 8)),
      at(place(params)),
      schedule(word<LayerMerging::Schedule>(params, "schedule",
                                            {"constant", LayerMerging::Schedule::kConstant},
                                            {"decreasing", LayerMerging::Schedule::kDecreasing})),
      attention(word<LayerMerging::Attention>(params, "prop_attn",
                                              {"key", LayerMerging::Attention::kBySize},
                                              {"off", LayerMerging::Attention::kPlain})) {
  check(steps >= 1, ErrorCode::kInvalidArgument,
        "tome.steps: expected at least 1, got " + std::to_string(steps));
  params.done("tome");
}

}  // namespace lv::vision
