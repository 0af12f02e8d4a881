#include "apps/parity_families.h"

#include <ATen/ATen.h>

#include "audio/encoders/ctranslate2_whisper.h"
#include "audio/encoders/whisper.h"
#include "audio/features/log_mel.h"
#include "llm/engine/grid_positions.h"
#include "llm/engine/parity.h"
#include "llm/models/worn_weights.h"
#include "pipeline/base/json.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"
#include "vision/compressors/trained.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/clip_vision.h"
#include "vision/encoders/image_encoder.h"
#include "vision/encoders/load_eyes.h"
#include "vision/preprocess/image_processor.h"

namespace lv::apps {
namespace {

/// How many tokens the reference continued with.
constexpr int64_t kGreedyIds = 12;

Outputs whisper(const Fixture& fixture) {
  const at::Device device = fixture.placement.device;
  const audio::Whisper model(audio::open_whisper(fixture.model_folder), device);
  const at::Tensor encoded = model.encode(fixture.input("input_features").to(device, at::kFloat));
  audio::WhisperMemory memory = model.remember(encoded);
  const at::Tensor hidden = model.decode(fixture.input("decoder_input_ids").to(at::kLong), memory);
  return {{"encoder", encoded}, {"logits", model.logits(hidden)}};
}

Outputs whisper_features(const Fixture& fixture) {
  const audio::LogMel log_mel(audio::read_log_mel_options(fixture.model_folder));
  return {{"input_features", log_mel(fixture.input("waveform"))}};
}

/// Families of the table in llm/models: logits of the inputs and what follows the first of them.
Outputs causal_lm(const Fixture& fixture) {
  const auto model = llm::load_reference_model(fixture.model_folder, fixture.placement);
  const llm::CausalOutputs outputs =
      llm::causal_outputs(*model, fixture.input("input_ids").to(at::kLong), kGreedyIds);
  return {{"logits", outputs.logits},
          {"greedy_ids", outputs.greedy_ids},
          {"greedy_margins", outputs.greedy_margins}};
}

Outputs clip_vision(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  const vision::ClipVision encoder(checkpoint.config(), checkpoint.root());
  const at::Tensor pixels = fixture.input("pixel_values");
  return {{"last_hidden_state", encoder.hidden(pixels, encoder.layer_count())},
          {"penultimate", encoder.hidden(pixels, encoder.layer_count() - 1)}};
}

/// picture_0, picture_1, ... of any shape to features_0 [n, D], ...
Outputs siglip2_vision(const Fixture& fixture) {
  const auto encoder =
      vision::make_image_encoder(open_checkpoint(fixture.model_folder, fixture.placement));
  const auto processor = vision::make_image_processor(
      read_json_file(fixture.model_folder + "/preprocessor_config.json"));
  Outputs outputs;
  for (int i = 0; fixture.inputs->contains("picture_" + std::to_string(i)); ++i) {
    const std::string number = std::to_string(i);
    const at::Tensor pixels = processor->process(fixture.input("picture_" + number)).pixels;
    outputs["features_" + number] = encoder->encode(pixels).features.squeeze(0);
  }
  return outputs;
}

Outputs siglip_vision(const Fixture& fixture) {
  const auto encoder =
      vision::make_image_encoder(open_checkpoint(fixture.model_folder, fixture.placement));
  return {{"last_hidden_state", encoder->encode(fixture.input("pixel_values")).features}};
}

/// A sequence's text, and its visual tokens in place of the ids that stand for them.
TokenSequence sequence_of(const at::Tensor& ids, const at::Tensor& visual,
                          const VisualTokens& tokens) {
  TokenSequence sequence;
  int64_t used = 0;
  for (int64_t first = 0; first < ids.size(0);) {
    const bool seen = visual[first].item<bool>();
    int64_t last = first + 1;
    while (last < ids.size(0) && visual[last].item<bool>() == seen) ++last;
    if (seen) {
      const at::Tensor rows = at::arange(used, used + last - first, at::kLong);
      sequence.segments.emplace_back(CompressedTokens{tokens.features.index_select(0, rows),
                                                      at::ones({last - first}),
                                                      select(tokens.origin, rows),
                                                      {}});
      used += last - first;
    } else {
      sequence.segments.emplace_back(TextTokens{ids.slice(0, first, last)});
    }
    first = last;
  }
  return sequence;
}

/// What a whole model's language model makes of ids of which some stand for visual tokens.
Outputs after_pictures(const Fixture& fixture, const Checkpoint& checkpoint,
                       const VisualTokens& tokens) {
  const auto model = llm::load_reference_model(fixture.model_folder, fixture.placement);
  const at::Tensor ids = fixture.input("input_ids").to(at::kLong).squeeze(0);
  at::Tensor visual = at::zeros_like(ids, at::kBool);
  for (const char* key :
       {"image_token_id", "image_token_index", "video_token_id", "video_token_index"}) {
    visual = visual.logical_or(ids == checkpoint.config().get(key, -1));
  }
  at::Tensor rows = model->embed(ids.masked_fill(visual, 0)).clone();
  rows.index_put_({visual.to(rows.device())},
                  tokens.features.to(rows.device(), rows.scalar_type()));
  at::Tensor positions;
  if (model->shape().position_axes > 1) {
    positions =
        llm::grid_positions(sequence_of(ids, visual, tokens),
                            checkpoint.config().at("vision_config").get("tokens_per_second", 4.0));
  }
  const llm::CausalOutputs outputs =
      llm::causal_outputs_after(*model, rows.unsqueeze(0), kGreedyIds, {.positions = positions});
  return {{"logits", outputs.logits},
          {"greedy_ids", outputs.greedy_ids},
          {"greedy_margins", outputs.greedy_margins}};
}

/// Whole models after their image processor: pixel_values through encoder and connector.
Outputs connected(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  const auto encoder = vision::make_image_encoder(vision_part(checkpoint));
  const auto connector =
      vision::make_connector_parts(connector_part(checkpoint), encoder->width()).connector;
  const at::Tensor pixels = fixture.input("pixel_values");
  const at::Tensor pictures = pixels.dim() == 5 ? pixels.flatten(0, 1) : pixels;
  const at::Tensor features = connector->connect(encoder->encode(pictures)).features;
  VisualTokens tokens;
  tokens.features = features.flatten(0, 1);
  Outputs outputs = after_pictures(fixture, checkpoint, tokens);
  outputs["image_features"] = features;
  return outputs;
}

/// picture_0, picture_1, ... or a film [T, H, W, 3] through one run of the encode stage.
VisualTokens seen_in(const Fixture& fixture, const vision::EncodeParts& eyes) {
  vision::EncodeOptions options;
  options.merging = eyes.merging;
  const auto stage = vision::make_encode(eyes, options);
  std::vector<FrameBatch> batches;
  const auto add = [&](const at::Tensor& frames, MediaKind kind) {
    batches.push_back({frames,
                       at::arange(frames.size(0), at::kDouble),
                       {kind},
                       {},
                       static_cast<int32_t>(batches.size())});
  };
  for (int i = 0; fixture.inputs->contains("picture_" + std::to_string(i)); ++i) {
    add(fixture.input("picture_" + std::to_string(i)).unsqueeze(0), MediaKind::kPicture);
  }
  if (fixture.inputs->contains("film")) add(fixture.input("film"), MediaKind::kVideo);
  const auto source = stage->start(source_of(std::move(batches)));
  return vision::joined(collect(*source));
}

/// Whole models as they are used, with these eyes.
Outputs seeing_with(const Fixture& fixture, const Checkpoint& checkpoint,
                    const vision::EncodeParts& eyes) {
  const VisualTokens tokens = seen_in(fixture, eyes);
  Outputs outputs = after_pictures(fixture, checkpoint, tokens);
  outputs["image_features"] = tokens.features;
  return outputs;
}

Outputs seeing(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  return seeing_with(fixture, checkpoint, vision::load_eyes(checkpoint));
}

/// Tokens merge in the encoder; `by_size` says whether its attention counts them by their sizes.
Outputs auroracap(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  vision::EncodeParts eyes = vision::load_eyes(checkpoint);
  eyes.merging.value().attention = fixture.input("by_size").item<bool>()
                                       ? vision::LayerMerging::Attention::kBySize
                                       : vision::LayerMerging::Attention::kPlain;
  return seeing_with(fixture, checkpoint, eyes);
}

/// A picture that is worn as weights; the id -200 is its place.
Outputs vlora(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  ClipTokens clip;
  clip.visual = seen_in(fixture, vision::load_eyes(checkpoint));
  const auto weights =
      std::get<AdapterWeights>(vision::load_own_compressor(checkpoint).compressor->map(clip));
  std::vector<at::Tensor> factors;
  for (const LowRankDelta& delta : weights) factors.push_back(delta.down);

  const auto model = llm::load_reference_model(fixture.model_folder, fixture.placement);
  const llm::WornWeights worn(weights, model->shape());
  const at::Tensor ids = fixture.input("input_ids").to(at::kLong).squeeze(0);
  const auto place = (ids == -200).nonzero().item<int64_t>();
  const at::Tensor before = ids.slice(0, 0, place), after = ids.slice(0, place + 1);
  const CompressedTokens nothing{at::empty({0, 0}), at::empty({0}), no_origin(), {}};
  TokenSequence sequence;
  sequence.segments = {TextTokens{before}, nothing, TextTokens{after}};
  const at::Tensor rows = model->embed(at::cat({before, after}));
  const llm::CausalOutputs outputs =
      llm::causal_outputs_after(*model, rows.unsqueeze(0), kGreedyIds,
                                {llm::positions_beside_worn(sequence), rows.size(0), &worn});
  return {{"image_features", clip.visual.features},
          {"factors", at::stack(factors)},
          {"logits", outputs.logits},
          {"greedy_ids", outputs.greedy_ids},
          {"greedy_margins", outputs.greedy_margins}};
}

/// image_0, image_1, ... to pixel_values_0, ...: a batch of one picture, or of the tiles of one.
Outputs image_processor(const Fixture& fixture) {
  const auto processor = vision::make_image_processor(
      read_json_file(fixture.model_folder + "/preprocessor_config.json"));
  Outputs outputs;
  for (int i = 0; fixture.inputs->contains("image_" + std::to_string(i)); ++i) {
    const std::string number = std::to_string(i);
    const vision::ProcessedPicture picture = processor->process(fixture.input("image_" + number));
    const bool cut = picture.tiles.rows > 0 || picture.pixels.size(0) > 1;
    outputs["pixel_values_" + number] = cut ? picture.pixels.unsqueeze(0) : picture.pixels;
  }
  return outputs;
}

}  // namespace

at::Tensor Fixture::input(const std::string& name) const {
  return std::get<at::Tensor>(inputs->get(name));
}

const std::map<std::string, Family>& families() {
  static const std::map<std::string, Family> all = {
      {"auroracap", auroracap},
      {"clip_vision_model", clip_vision},
      {"image_processor", image_processor},
      {"llama", causal_lm},
      {"llava", connected},
      {"mamba", causal_lm},
      {"mistral", causal_lm},
      {"qwen2", causal_lm},
      {"qwen3", causal_lm},
      {"seeing", seeing},
      {"siglip2_vision_model", siglip2_vision},
      {"siglip_vision_model", siglip_vision},
      {"smollm3", causal_lm},
      {"smolvlm", connected},
      {"vlora", vlora},
      {"whisper", whisper},
      {"whisper_features", whisper_features},
  };
  return all;
}

}  // namespace lv::apps
