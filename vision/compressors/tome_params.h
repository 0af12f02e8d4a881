#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/base/params.h"
#include "vision/compressors/budget.h"
#include "vision/encoders/layer_merging.h"

namespace lv::vision {

/// What the parameters of `tome` ask for. Encoder and compressor both read all of them, and one of
/// them does it.
///   keep, tokens, over   as every compressor has them
///   at         layers | tokens: between the encoder's layers, or on what it gives. Neither:
///   between
///              the layers where the model can, unless another key is given that only one knows
///   steps      rounds of merging, on what the encoder gives
///   schedule   constant | decreasing: pairs a layer
///   prop_attn  key | off: whether attention counts a merged token as often as it stands for
///              patches; by default as the model was trained
struct TomeParams {
  enum class At { kEither, kLayers, kTokens };

  /// Throws kInvalidArgument that names the key.
  explicit TomeParams(Params params);

  Budget budget;
  double keep;
  int64_t steps;
  At at;
  std::optional<LayerMerging::Schedule> schedule;
  std::optional<LayerMerging::Attention> attention;
};

}  // namespace lv::vision
