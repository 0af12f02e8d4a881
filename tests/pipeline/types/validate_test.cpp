#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>

#include "pipeline/types/audio.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TokenOrigin origin_of(int64_t tokens) {
  return {at::zeros({tokens}, at::kDouble), at::zeros({tokens}, at::kInt), at::zeros({tokens, 4}),
          at::ones({tokens}, at::kByte), at::zeros({tokens, 2}, at::kInt)};
}

VisualTokens visual() {
  VisualTokens x;
  x.features = at::ones({3, 2});
  x.offsets = at::tensor({0, 2, 3}, at::kInt);
  x.grids = {{1, 2}, {1, 1}};
  x.origin = origin_of(3);
  return x;
}

Prompt prompt() {
  Prompt x;
  x.messages = {{"user", {std::string("what is it?")}}};
  return x;
}

/// Breaks a good value in one place and expects an error that names the field.
template <class T, class Break>
void refuses(T value, const char* field, Break broken) {
  CHECK_NOTHROW(validate(value));
  broken(value);
  CHECK_THROWS_MATCHES(validate(value), Error, IsError(ErrorCode::kInvalidArgument, field));
}

}  // namespace

TEST_CASE("frames that do not hold together are refused by field") {
  FrameBatch good;
  good.pixels = at::zeros({2, 4, 5, 3}, at::kByte);
  good.pts_seconds = at::tensor({0.0, 0.5}, at::kDouble);
  refuses(good, "frames.pixels", [](auto& x) { x.pixels = at::zeros({2, 4, 5, 4}, at::kByte); });
  refuses(good, "frames.pixels", [](auto& x) { x.pixels = at::zeros({2, 4, 5, 3}); });
  refuses(good, "frames.pixels", [](auto& x) { x.pixels = at::Tensor(); });
  refuses(good, "frames.pts_seconds", [](auto& x) { x.pts_seconds = at::zeros({3}, at::kDouble); });
  refuses(good, "strictly increasing", [](auto& x) { x.pts_seconds = at::ones({2}, at::kDouble); });
  refuses(good, "frames.pts_seconds",
          [](auto& x) { x.pts_seconds = at::full({2}, kNan, at::kDouble); });
}

TEST_CASE("sound that does not hold together is refused by field") {
  AudioChunk good;
  good.samples = at::zeros({1, 16});
  good.sample_rate_hz = 16000;
  refuses(good, "audio.samples", [](auto& x) { x.samples = at::zeros({16}); });
  refuses(good, "audio.samples", [](auto& x) { x.samples = at::full({1, 2}, kNan); });
  refuses(good, "audio.sample_rate_hz", [](auto& x) { x.sample_rate_hz = 0; });
  AudioTokens tokens;
  tokens.features = at::zeros({2, 3});
  tokens.pts_seconds = at::zeros({2}, at::kDouble);
  refuses(tokens, "audio.pts_seconds",
          [](auto& x) { x.pts_seconds = at::zeros({1}, at::kDouble); });
  CHECK_NOTHROW(validate(AudioTokens()));
}

TEST_CASE("visual tokens that do not hold together are refused by field") {
  refuses(visual(), "visual.features", [](auto& x) { x.features = at::ones({3, 2}, at::kLong); });
  refuses(visual(), "visual.features", [](auto& x) { x.features = at::full({3, 2}, kNan); });
  refuses(visual(), "visual.offsets", [](auto& x) { x.offsets = at::tensor({0, 2, 4}, at::kInt); });
  refuses(visual(), "visual.offsets", [](auto& x) { x.offsets = at::tensor({0, 4, 3}, at::kInt); });
  refuses(visual(), "visual.offsets", [](auto& x) { x.offsets = at::tensor({0, 3}, at::kLong); });
  refuses(visual(), "visual.offsets", [](auto& x) { x.offsets = at::empty({0}, at::kInt); });
  refuses(visual(), "visual.grids", [](auto& x) { x.grids.pop_back(); });
  refuses(visual(), "origin.box", [](auto& x) { x.origin.box = at::zeros({3, 3}); });
  refuses(visual(), "origin.source", [](auto& x) { x.origin.source = at::zeros({3}); });
  refuses(visual(), "origin.flags", [](auto& x) { x.origin.flags = at::ones({2}, at::kByte); });
  refuses(visual(), "origin.tile", [](auto& x) { x.origin.tile = at::Tensor(); });
  refuses(visual(), "origin.tile", [](auto& x) { x.origin.tile = x.origin.tile - 1; });
  refuses(visual(), "visual.sizes", [](auto& x) { x.sizes = at::ones({2}); });
  refuses(visual(), "visual.sizes", [](auto& x) { x.sizes = at::zeros({3}); });
  refuses(visual(), "visual.saliency", [](auto& x) { x.saliency = at::full({3}, kNan); });
  refuses(visual(), "visual.saliency", [](auto& x) { x.saliency = at::full({3}, -1.0f); });
  refuses(ClipTokens{visual(), {}, at::ones({1, 2})}, "question",
          [](auto& x) { x.question = at::ones({2}); });
}

TEST_CASE("compressed tokens and adapters that do not hold together are refused by field") {
  CompressedTokens tokens;
  tokens.embeddings = at::ones({2, 4});
  tokens.sizes = at::ones({2});
  tokens.origin = origin_of(2);
  refuses(tokens, "compressed.sizes", [](auto& x) { x.sizes = at::ones({3}); });
  refuses(tokens, "origin.pts_seconds", [](auto& x) { x.origin = origin_of(1); });
  const AdapterWeights adapters{{"q_proj", at::ones({2, 4}), at::ones({6, 2})}};
  refuses(adapters, "adapter q_proj: expected up and down of one rank, got 3 and 2", [](auto& x) {
    x[0].up = at::ones({6, 3});
  });
}

TEST_CASE("prompts that ask for the impossible are refused by field") {
  refuses(prompt(), "prompt.messages", [](auto& x) { x.messages.clear(); });
  refuses(prompt(), "max_tokens", [](auto& x) { x.options.max_tokens = 0; });
  refuses(prompt(), "temperature", [](auto& x) { x.options.temperature = -1; });
  refuses(prompt(), "temperature", [](auto& x) { x.options.temperature = kNan; });
  refuses(prompt(), "top_k", [](auto& x) { x.options.top_k = -1; });
  refuses(prompt(), "top_p", [](auto& x) { x.options.top_p = 0; });
  refuses(prompt(), "min_p", [](auto& x) { x.options.min_p = 1.5; });
  refuses(prompt(), "json_schema", [](auto& x) { x.options.json_schema.assign(1 << 17, ' '); });
  refuses(prompt(), "stop", [](auto& x) {
    x.options.json_schema = "{}";
    x.options.stop = {"."};
  });
  refuses(prompt(), "grammar", [](auto& x) { x.options.grammar.assign(1 << 17, ' '); });
  refuses(prompt(), "grammar", [](auto& x) { x.options.grammar = x.options.json_schema = "{}"; });
  refuses(prompt(), "repetition_penalty", [](auto& x) { x.options.repetition_penalty = 0; });
  refuses(prompt(), "compressed.embeddings",
          [](auto& x) { x.messages[0].parts.emplace_back(CompressedTokens()); });
}

TEST_CASE("calls of tools are refused by field") {
  Prompt calls = prompt();
  calls.messages.push_back({"assistant", {}, {{"1", "clock", Json::Object()}}});
  calls.tools = {Json::Object()};
  const char* field = "prompt.messages.tool_calls";
  refuses(calls, field, [](auto& x) { x.messages[1].role = "user"; });
  refuses(calls, field, [](auto& x) { x.messages[1].tool_calls[0].name.clear(); });
  refuses(calls, field, [](auto& x) { x.messages[1].tool_calls[0].arguments = "{}"; });
  refuses(calls, "prompt.tools", [](auto& x) { x.tools.emplace_back("clock"); });
}

}  // namespace lv
