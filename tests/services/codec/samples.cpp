#include "tests/services/codec/samples.h"

#include <ATen/ATen.h>

#include <limits>

#include "tests/support/close_to.h"

namespace lv::services {
namespace {

TokenOrigin origin_of(int64_t tokens) {
  return {at::arange(tokens, at::kDouble), at::arange(tokens, at::kInt),
          lcg_tensor(3, {tokens, 4}).abs(), at::full({tokens}, kMerged, at::kByte),
          at::full({tokens, 2}, 3, at::kInt)};
}

}  // namespace

FrameBatch sample_frames() {
  FrameBatch batch;
  batch.pixels = at::arange(2 * 4 * 5 * 3, at::kByte).view({2, 4, 5, 3});
  batch.pts_seconds = at::arange(2, at::kDouble) * 0.5;
  batch.media = {MediaKind::kVideo, 9.5, 640, 360};
  batch.warnings = {"frame 3: broken"};
  batch.source = 2;
  batch.film_frames = 9;
  batch.view = "rear left";
  return batch;
}

AudioChunk sample_sound() {
  AudioChunk chunk;
  chunk.samples = lcg_tensor(1, {2, 6});
  chunk.sample_rate_hz = 16000;
  chunk.pts_seconds = -0.25;
  return chunk;
}

AudioTokens sample_heard() {
  AudioTokens tokens;
  tokens.features = lcg_tensor(2, {2, 3}).to(at::kHalf);
  tokens.pts_seconds = at::arange(2, at::kDouble);
  tokens.speech = {{0.5, 1.5, "grüße"}};
  tokens.language = "de";
  return tokens;
}

VisualTokens sample_visual() {
  VisualTokens tokens;
  tokens.features = lcg_tensor(4, {4, 3});
  tokens.offsets = at::tensor({0, 1, 4}, at::kInt);
  tokens.grids = {{1, 1}, {1, 3}};
  tokens.labels = {{1, "tabby", 0.75}};
  tokens.origin = origin_of(4);
  tokens.sizes = at::tensor({2.0f, 1.0f, 1.0f, 5.0f});
  tokens.saliency = lcg_tensor(6, {4}).abs();
  tokens.reports = {{"tome", 0.5, 9, 4, 0.9, 1.5}};
  return tokens;
}

CompressedTokens sample_compressed() {
  CompressedTokens tokens;
  tokens.embeddings = lcg_tensor(5, {2, 3});
  tokens.sizes = at::full({2}, 2.0f);
  tokens.origin = origin_of(2);
  tokens.reports = {{"tome", 0.5, 4, 2, 0.9, 1.5}};
  tokens.pruning = {3, 0.5};
  return tokens;
}

Prompt sample_prompt() {
  Prompt prompt;
  prompt.messages = {
      {"system", {"be brief"}},
      {"user", {"before", sample_compressed(), "after"}},
      {"assistant", {}, {{"call", "clock", Json::Object{{"zone", "CET"}, {"days", 2.0}}}}},
      {"tool", {"12:30"}, {}, "call", "clock"}};
  prompt.tools = {Json::Object{{"name", "clock"}, {"parameters", Json::Object()}}};
  prompt.options = {.max_tokens = 7,
                    .temperature = 0.5,
                    .top_k = 40,
                    .top_p = 0.9,
                    .min_p = 0.05,
                    .repetition_penalty = 1.1,
                    .seed = std::numeric_limits<uint64_t>::max(),
                    .stop = {"\n\n"}};
  prompt.pointing = Pointing{{{2, 5}, {5, 9}}};
  return prompt;
}

}  // namespace lv::services
