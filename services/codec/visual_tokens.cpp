#include "longview/v1/visual_tokens.pb.h"
#include "services/codec/codec.h"
#include "services/codec/fields.h"
#include "services/codec/utf8.h"

namespace lv::services {
namespace {

constexpr double kMaxPatches = 1 << 16;  // along one side
constexpr int kMaxDeltas = 1 << 14;      // of one prompt: what many small ones cost is not in bytes

void to_proto(const TokenOrigin& origin, v1::TokenOrigin* message) {
  put(origin.pts_seconds, message, &v1::TokenOrigin::mutable_pts_seconds);
  put(origin.source, message, &v1::TokenOrigin::mutable_source);
  put(origin.box, message, &v1::TokenOrigin::mutable_box);
  put(origin.flags, message, &v1::TokenOrigin::mutable_flags);
  put(origin.tile, message, &v1::TokenOrigin::mutable_tile);
}

TokenOrigin from_proto(const Received<v1::TokenOrigin>& message) {
  TokenOrigin origin;
  origin.pts_seconds = take_tensor(part_of(message, message->pts_seconds()), "origin.pts_seconds");
  origin.source = take_tensor(part_of(message, message->source()), "origin.source");
  origin.box = take_tensor(part_of(message, message->box()), "origin.box");
  origin.flags = take_tensor(part_of(message, message->flags()), "origin.flags");
  origin.tile = take_tensor(part_of(message, message->tile()), "origin.tile");
  return origin;
}

}  // namespace

void to_proto(const CompressionReport& report, v1::CompressionReport* message) {
  message->set_method(valid_utf8(report.method));
  message->set_keep(report.keep);
  message->set_tokens_in(report.tokens_in);
  message->set_tokens_out(report.tokens_out);
  message->set_fidelity(report.fidelity);
  message->set_milliseconds(report.milliseconds);
}

CompressionReport from_proto(const v1::CompressionReport& message) {
  check_number(message.keep(), "report.keep", 0, 1);
  check_number(static_cast<double>(message.tokens_in()), "report.tokens_in");
  check_number(static_cast<double>(message.tokens_out()), "report.tokens_out");
  check_number(message.fidelity(), "report.fidelity", std::numeric_limits<double>::lowest());
  check_number(message.milliseconds(), "report.milliseconds");
  return {message.method(),     message.keep(),     message.tokens_in(),
          message.tokens_out(), message.fidelity(), message.milliseconds()};
}

void to_proto(const VisualTokens& tokens, v1::VisualTokens* message) {
  message->Clear();
  put(tokens.features, message, &v1::VisualTokens::mutable_features);
  put(tokens.offsets, message, &v1::VisualTokens::mutable_offsets);
  for (const PatchGrid& grid : tokens.grids) {
    v1::PatchGrid* out = message->add_grids();
    out->set_rows(grid.rows);
    out->set_columns(grid.columns);
  }
  to_proto(tokens.origin, message->mutable_origin());
  for (const PictureLabel& label : tokens.labels) {
    v1::PictureLabel* out = message->add_labels();
    out->set_picture(label.picture);
    out->set_name(valid_utf8(label.name));
    out->set_probability(label.probability);
  }
  put(tokens.sizes, message, &v1::VisualTokens::mutable_sizes);
  put(tokens.saliency, message, &v1::VisualTokens::mutable_saliency);
  for (const auto& report : tokens.reports) to_proto(report, message->add_reports());
}

VisualTokens from_proto(Received<v1::VisualTokens> message) {
  VisualTokens tokens;
  tokens.features = take_tensor(part_of(message, message->features()), "visual.features");
  tokens.offsets = take_tensor(part_of(message, message->offsets()), "visual.offsets");
  for (const v1::PatchGrid& grid : message->grids()) {
    check_number(grid.rows(), "visual.grids.rows", 0, kMaxPatches);
    check_number(grid.columns(), "visual.grids.columns", 0, kMaxPatches);
    tokens.grids.push_back({grid.rows(), grid.columns()});
  }
  tokens.origin = from_proto(part_of(message, message->origin()));
  for (const v1::PictureLabel& label : message->labels()) {
    tokens.labels.push_back({label.picture(), label.name(), label.probability()});
  }
  if (message->has_sizes()) {
    tokens.sizes = take_tensor(part_of(message, message->sizes()), "visual.sizes");
  }
  if (message->has_saliency()) {
    tokens.saliency = take_tensor(part_of(message, message->saliency()), "visual.saliency");
  }
  for (const auto& report : message->reports()) tokens.reports.push_back(from_proto(report));
  validate(tokens);
  return tokens;
}

void to_proto(const ClipTokens& clip, v1::ClipTokens* message) {
  message->Clear();
  to_proto(clip.visual, message->mutable_visual());
  if (clip.audio) to_proto(*clip.audio, message->mutable_audio());
  if (clip.question) put_tensor(*clip.question, message->mutable_question());
}

ClipTokens from_proto(Received<v1::ClipTokens> message) {
  ClipTokens clip;
  clip.visual = from_proto(part_of(message, message->visual()));
  if (message->has_audio()) clip.audio = from_proto(part_of(message, message->audio()));
  if (message->has_question()) {
    clip.question = take_tensor(part_of(message, message->question()), "question");
  }
  validate(clip);
  return clip;
}

void to_proto(const CompressedTokens& tokens, v1::CompressedTokens* message) {
  message->Clear();
  put(tokens.embeddings, message, &v1::CompressedTokens::mutable_embeddings);
  put(tokens.sizes, message, &v1::CompressedTokens::mutable_sizes);
  to_proto(tokens.origin, message->mutable_origin());
  for (const auto& report : tokens.reports) to_proto(report, message->add_reports());
  if (tokens.pruning == LayerPruning{}) return;
  message->mutable_pruning()->set_layer(tokens.pruning.layer);
  message->mutable_pruning()->set_keep(tokens.pruning.keep);
}

CompressedTokens from_proto(Received<v1::CompressedTokens> message) {
  CompressedTokens tokens;
  tokens.embeddings = take_tensor(part_of(message, message->embeddings()), "compressed.embeddings");
  tokens.sizes = take_tensor(part_of(message, message->sizes()), "compressed.sizes");
  tokens.origin = from_proto(part_of(message, message->origin()));
  for (const auto& report : message->reports()) tokens.reports.push_back(from_proto(report));
  if (message->has_pruning()) {
    tokens.pruning = {message->pruning().layer(), message->pruning().keep()};
  }
  validate(tokens);
  return tokens;
}

void to_proto(const AdapterWeights& weights, v1::AdapterWeights* message) {
  message->Clear();
  for (const LowRankDelta& delta : weights) {
    v1::LowRankDelta* out = message->add_deltas();
    out->set_target(valid_utf8(delta.target));
    put(delta.down, out, &v1::LowRankDelta::mutable_down);
    put(delta.up, out, &v1::LowRankDelta::mutable_up);
  }
}

AdapterWeights from_proto(Received<v1::AdapterWeights> message) {
  check(message->deltas_size() <= kMaxDeltas, ErrorCode::kInvalidArgument,
        "adapters: expected at most " + std::to_string(kMaxDeltas) + " low-rank weights, got " +
            std::to_string(message->deltas_size()));
  AdapterWeights weights;
  for (const v1::LowRankDelta& delta : message->deltas()) {
    weights.push_back({delta.target(), take_tensor(part_of(message, delta.down()), "adapter.down"),
                       take_tensor(part_of(message, delta.up()), "adapter.up")});
  }
  validate(weights);
  return weights;
}

void to_proto(const VisualContext& context, v1::VisualContext* message) {
  message->Clear();
  if (const auto* tokens = std::get_if<CompressedTokens>(&context)) {
    to_proto(*tokens, message->mutable_tokens());
  } else {
    to_proto(std::get<AdapterWeights>(context), message->mutable_adapters());
  }
}

VisualContext from_proto(Received<v1::VisualContext> message) {
  switch (message->context_case()) {
    case v1::VisualContext::kTokens:
      return from_proto(part_of(message, message->tokens()));
    case v1::VisualContext::kAdapters:
      return from_proto(part_of(message, message->adapters()));
    case v1::VisualContext::CONTEXT_NOT_SET:
      break;
  }
  throw Error(ErrorCode::kInvalidArgument, "context: expected tokens or adapters, got neither");
}

void to_proto(const CompressionSpec& spec, v1::CompressionSpec* message) {
  message->Clear();
  message->set_method(valid_utf8(spec.method));
  for (const auto& [key, value] : spec.params) {
    (*message->mutable_params())[valid_utf8(key)] = valid_utf8(value);
  }
}

CompressionSpec from_proto(const v1::CompressionSpec& message) {
  check(!message.method().empty(), ErrorCode::kInvalidArgument,
        "compression.method: expected a name, got none");
  return {message.method(), {message.params().begin(), message.params().end()}};
}

}  // namespace lv::services
