#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/types/audio.h"

namespace lv {

// Dimension letters, here and everywhere: T frames, P pictures, M tokens, D features, H heads,
// Hkv key/value heads, Dh head size, V vocabulary, n new tokens.

/// kSpread: merged from more than one tile or picture; time and tile say where it stands, not what
/// it shows.
enum TokenFlag : uint8_t { kObserved = 1, kMerged = 2, kImputed = 4, kSpread = 8 };

/// Where each token came from; evidence in answers points back through it.
struct TokenOrigin {
  at::Tensor pts_seconds;  // [M] float64
  at::Tensor source;       // [M] int32, camera view or page
  at::Tensor box;          // [M, 4] float32, x0 y0 x1 y1 as fractions of the picture
  at::Tensor flags;        // [M] uint8, of TokenFlag
  at::Tensor tile;         // [M, 2] int32, row and column, from 1, of the tile of the picture that
                           // it is from; 0, 0 where the whole picture was encoded at once
};

/// Of no tokens.
TokenOrigin no_origin();
/// Of the tokens `rows` [m] int64, in that order.
TokenOrigin select(const TokenOrigin& origin, const at::Tensor& rows);
/// Of all tokens, one part after another.
TokenOrigin joined(const std::vector<TokenOrigin>& parts);

struct PatchGrid {
  int32_t rows = 0;
  int32_t columns = 0;
};

/// What an encoder's own classifier names in a picture.
struct PictureLabel {
  int32_t picture = 0;
  std::string name;
  double probability = 0;
};

/// What one compression did, for the report.
struct CompressionReport {
  std::string method;
  double keep = 1;  // share of tokens asked for
  int64_t tokens_in = 0;
  int64_t tokens_out = 0;
  double fidelity = 1;  // mean cosine of each input token to the token that stands for it
  double milliseconds = 0;
};

/// Packed: pictures may have different token counts, nothing is padded.
struct VisualTokens {
  at::Tensor features;           // [M, D]
  at::Tensor offsets;            // [P + 1] int32; picture p owns rows offsets[p] .. offsets[p + 1]
  std::vector<PatchGrid> grids;  // [P]
  TokenOrigin origin;
  std::vector<PictureLabel>
      labels;           // most probable first within a picture; none without a classifier
  at::Tensor sizes;     // [M] float32, how many patches each row stands for; undefined: one
  at::Tensor saliency;  // [M] float32, the share of its picture's attention that each row got in
                        // the encoder; undefined unless a method needs it
  std::vector<CompressionReport> reports;  // of what made rows of several, in order
};

/// What a compressor sees.
struct ClipTokens {
  VisualTokens visual;
  std::optional<AudioTokens> audio;    // for combiners of both
  std::optional<at::Tensor> question;  // [q, D], for question-aware selection
};

/// What a language model's layers from `layer` on read of visual tokens: the share `keep` that the
/// prompt's last token attended to most in the layer before. 1: all of them.
struct LayerPruning {
  int64_t layer = 2;
  double keep = 1;

  bool operator==(const LayerPruning&) const = default;
};

struct CompressedTokens {
  at::Tensor embeddings;  // [M, D], in reading order
  at::Tensor sizes;       // [M] float32, how many input tokens each row stands for
  TokenOrigin origin;
  std::vector<CompressionReport> reports;  // one for each method that ran, in order
  LayerPruning pruning = {};
};

/// How many of `tokens` that is, rounded as Python does: halves to the even number. At least one.
int64_t left_of(int64_t tokens, const LayerPruning& pruning);

/// What the module `target` of a language model makes of x grows by up (down x): of one weight,
/// target.weight += up @ down.
struct LowRankDelta {
  std::string target;  // "model.layers.3.self_attn.q_proj"; see llm/models/worn_weights.h
  at::Tensor down;     // [r, in]
  at::Tensor up;       // [out, r]
};
using AdapterWeights = std::vector<LowRankDelta>;

/// Tokens to read, or weights to wear.
using VisualContext = std::variant<CompressedTokens, AdapterWeights>;

/// Each throws kInvalidArgument that names the field. They run on everything that arrives over a
/// wire.
void validate(const VisualTokens& tokens);
void validate(const ClipTokens& clip);
void validate(const CompressedTokens& tokens);
void validate(const AdapterWeights& weights);

}  // namespace lv
