#include <ATen/ATen.h>

#include <cmath>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/types/audio.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"

namespace lv {
namespace {

void check_finite(const at::Tensor& x, const char* name) {
  check(x.numel() == 0 || at::isfinite(x).all().item<bool>(), ErrorCode::kInvalidArgument,
        std::string(name) + ": expected finite numbers, got NaN or infinity");
}

void check_features(const at::Tensor& x, const char* name) {
  check_shape(x, name, {-1, -1});
  check(at::isFloatingType(x.scalar_type()) && x.layout() == at::kStrided,
        ErrorCode::kInvalidArgument,
        std::string(name) + ": expected dense floating-point rows, got " +
            at::toString(x.scalar_type()));
  check_finite(x, name);
}

void check_origin(const TokenOrigin& origin, int64_t tokens) {
  check_shape(origin.pts_seconds, "origin.pts_seconds", {tokens});
  check_dtype(origin.pts_seconds, "origin.pts_seconds", at::kDouble);
  check_finite(origin.pts_seconds, "origin.pts_seconds");
  check_shape(origin.source, "origin.source", {tokens});
  check_dtype(origin.source, "origin.source", at::kInt);
  check_shape(origin.box, "origin.box", {tokens, 4});
  check_dtype(origin.box, "origin.box", at::kFloat);
  check_finite(origin.box, "origin.box");
  check_shape(origin.flags, "origin.flags", {tokens});
  check_dtype(origin.flags, "origin.flags", at::kByte);
  check_shape(origin.tile, "origin.tile", {tokens, 2});
  check_dtype(origin.tile, "origin.tile", at::kInt);
  check(tokens == 0 || (origin.tile >= 0).all().item<bool>(), ErrorCode::kInvalidArgument,
        "origin.tile: expected rows and columns of 0 or more");
}

void check_calls(const Message& message) {
  check(message.tool_calls.empty() || message.role == "assistant", ErrorCode::kInvalidArgument,
        "prompt.messages.tool_calls: expected those of an assistant, got those of '" +
            message.role + "'");
  for (const ToolCall& call : message.tool_calls) {
    check(!call.name.empty(), ErrorCode::kInvalidArgument,
          "prompt.messages.tool_calls.name: expected the name of a tool, got none");
    check(call.arguments.is_object(), ErrorCode::kInvalidArgument,
          "prompt.messages.tool_calls.arguments: expected an object of JSON for " + call.name);
  }
}

void check_sizes(const at::Tensor& sizes, const std::string& name, int64_t tokens) {
  check_shape(sizes, name, {tokens});
  check_dtype(sizes, name, at::kFloat);
  check_finite(sizes, name.c_str());
  check(tokens == 0 || (sizes > 0).all().item<bool>(), ErrorCode::kInvalidArgument,
        name + ": expected more than 0");
}

}  // namespace

void validate(const FrameBatch& batch) {
  check_shape(batch.pixels, "frames.pixels", {-1, -1, -1, 3});
  check_dtype(batch.pixels, "frames.pixels", at::kByte);
  check_shape(batch.pts_seconds, "frames.pts_seconds", {batch.pixels.size(0)});
  check_dtype(batch.pts_seconds, "frames.pts_seconds", at::kDouble);
  check_finite(batch.pts_seconds, "frames.pts_seconds");
  const int64_t count = batch.pts_seconds.size(0);
  if (count > 1) {
    const at::Tensor steps =
        batch.pts_seconds.slice(0, 1) - batch.pts_seconds.slice(0, 0, count - 1);
    check((steps > 0).all().item<bool>(), ErrorCode::kInvalidArgument,
          "frames.pts_seconds: expected strictly increasing times, got a step back");
  }
  check(batch.source >= 0, ErrorCode::kInvalidArgument,
        "frames.source: expected 0 or more, got " + std::to_string(batch.source));
}

void validate(const AudioChunk& chunk) {
  check_shape(chunk.samples, "audio.samples", {-1, -1});
  check_dtype(chunk.samples, "audio.samples", at::kFloat);
  check_finite(chunk.samples, "audio.samples");
  check(chunk.sample_rate_hz > 0 && chunk.sample_rate_hz <= 768000, ErrorCode::kInvalidArgument,
        "audio.sample_rate_hz: expected 1 to 768000, got " + std::to_string(chunk.sample_rate_hz));
}

void validate(const AudioTokens& tokens) {
  if (!tokens.features.defined()) return;
  check_features(tokens.features, "audio.features");
  check_shape(tokens.pts_seconds, "audio.pts_seconds", {tokens.features.size(0)});
  check_dtype(tokens.pts_seconds, "audio.pts_seconds", at::kDouble);
}

void validate(const VisualTokens& tokens) {
  check_features(tokens.features, "visual.features");
  check_shape(tokens.offsets, "visual.offsets", {-1});
  check_dtype(tokens.offsets, "visual.offsets", at::kInt);
  const at::Tensor offsets = tokens.offsets.cpu().contiguous();
  const int64_t pictures = offsets.size(0) - 1;
  check(pictures >= 0, ErrorCode::kInvalidArgument,
        "visual.offsets: expected at least one entry, got none");
  const int32_t* at = offsets.const_data_ptr<int32_t>();
  check(at[0] == 0 && at[pictures] == tokens.features.size(0), ErrorCode::kInvalidArgument,
        "visual.offsets: expected to run from 0 to " + std::to_string(tokens.features.size(0)) +
            ", got " + std::to_string(at[0]) + " to " + std::to_string(at[pictures]));
  for (int64_t p = 0; p < pictures; ++p) {
    check(at[p] <= at[p + 1], ErrorCode::kInvalidArgument,
          "visual.offsets: expected ascending, got a step back");
  }
  check(static_cast<int64_t>(tokens.grids.size()) == pictures, ErrorCode::kInvalidArgument,
        "visual.grids: expected " + std::to_string(pictures) + ", got " +
            std::to_string(tokens.grids.size()));
  check_origin(tokens.origin, tokens.features.size(0));
  if (tokens.sizes.defined()) {
    check_sizes(tokens.sizes, "visual.sizes", tokens.features.size(0));
  }
  if (tokens.saliency.defined()) {
    check_shape(tokens.saliency, "visual.saliency", {tokens.features.size(0)});
    check_dtype(tokens.saliency, "visual.saliency", at::kFloat);
    check_finite(tokens.saliency, "visual.saliency");
    check(tokens.saliency.numel() == 0 || (tokens.saliency >= 0).all().item<bool>(),
          ErrorCode::kInvalidArgument, "visual.saliency: expected 0 or more");
  }
  for (const PictureLabel& label : tokens.labels) {
    check(label.picture >= 0 && label.picture < pictures && std::isfinite(label.probability),
          ErrorCode::kInvalidArgument,
          "visual.labels: expected pictures 0 to " + std::to_string(pictures - 1) + ", got " +
              std::to_string(label.picture));
  }
}

void validate(const ClipTokens& clip) {
  validate(clip.visual);
  if (clip.audio) validate(*clip.audio);
  if (clip.question) check_features(*clip.question, "question");
}

void validate(const CompressedTokens& tokens) {
  check_features(tokens.embeddings, "compressed.embeddings");
  check_sizes(tokens.sizes, "compressed.sizes", tokens.embeddings.size(0));
  check_origin(tokens.origin, tokens.embeddings.size(0));
  const auto& [layer, keep] = tokens.pruning;
  check(layer >= 1, ErrorCode::kInvalidArgument,
        "compressed.pruning.layer: expected at least 1, got " + std::to_string(layer));
  check(keep > 0 && keep <= 1, ErrorCode::kInvalidArgument,
        "compressed.pruning.keep: expected more than 0, at most 1, got " + std::to_string(keep));
}

void validate(const AdapterWeights& weights) {
  for (const LowRankDelta& delta : weights) {
    check_features(delta.down, "adapter.down");
    check_features(delta.up, "adapter.up");
    check(delta.up.size(1) == delta.down.size(0), ErrorCode::kInvalidArgument,
          "adapter " + delta.target + ": expected up and down of one rank, got " +
              std::to_string(delta.up.size(1)) + " and " + std::to_string(delta.down.size(0)));
  }
}

void validate(const Prompt& prompt) {
  check(!prompt.messages.empty(), ErrorCode::kInvalidArgument,
        "prompt.messages: expected at least one, got none");
  for (const Message& message : prompt.messages) {
    for (const PromptPart& part : message.parts) {
      if (const auto* tokens = std::get_if<CompressedTokens>(&part)) validate(*tokens);
    }
    check_calls(message);
  }
  for (const Json& tool : prompt.tools)
    check(tool.is_object(), ErrorCode::kInvalidArgument,
          "prompt.tools: expected an object of JSON for each");
  if (prompt.pointing) {
    for (const TextRange& cell : prompt.pointing->cells) {
      check(cell.begin >= 0 && cell.begin <= cell.end, ErrorCode::kInvalidArgument,
            "prompt.pointing.cells: expected a beginning before an end, got " +
                std::to_string(cell.begin) + " to " + std::to_string(cell.end));
    }
  }
  const GenerationOptions& options = prompt.options;
  check(options.max_tokens > 0, ErrorCode::kInvalidArgument,
        "max_tokens: expected at least 1, got " + std::to_string(options.max_tokens));
  check(options.temperature >= 0, ErrorCode::kInvalidArgument, "temperature: expected 0 or more");
  check(options.top_k >= 0, ErrorCode::kInvalidArgument, "top_k: expected 0 or more");
  check(options.top_p > 0 && options.top_p <= 1, ErrorCode::kInvalidArgument,
        "top_p: expected more than 0, at most 1");
  check(options.min_p >= 0 && options.min_p <= 1, ErrorCode::kInvalidArgument,
        "min_p: expected 0 to 1");
  check(options.repetition_penalty > 0, ErrorCode::kInvalidArgument,
        "repetition_penalty: expected more than 0");
  check(options.json_schema.size() <= kMaxSchemaBytes, ErrorCode::kInvalidArgument,
        "json_schema: expected at most " + std::to_string(kMaxSchemaBytes) + " bytes, got " +
            std::to_string(options.json_schema.size()));
  check(options.grammar.size() <= kMaxSchemaBytes, ErrorCode::kInvalidArgument,
        "grammar: expected at most " + std::to_string(kMaxSchemaBytes) + " bytes, got " +
            std::to_string(options.grammar.size()));
  check(options.grammar.empty() || (options.stop.empty() && options.json_schema.empty()),
        ErrorCode::kInvalidArgument,
        "grammar: expected no stop and no json_schema beside it, which says how the answer goes");
  check(options.json_schema.empty() || options.stop.empty(), ErrorCode::kInvalidArgument,
        "stop: expected none beside json_schema, which says where the answer ends");
  validate(prompt.adapters);
}

}  // namespace lv
