#include "apps/parity_families.h"

#include <ATen/ATen.h>

#include "audio/encoders/ctranslate2_whisper.h"
#include "audio/encoders/whisper.h"
#include "audio/features/log_mel.h"
#include "llm/engine/parity.h"
#include "pipeline/base/json.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/model_parts.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/clip_vision.h"
#include "vision/encoders/image_encoder.h"
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

Outputs siglip_vision(const Fixture& fixture) {
  const auto encoder =
      vision::make_image_encoder(open_checkpoint(fixture.model_folder, fixture.placement));
  return {{"last_hidden_state", encoder->encode(fixture.input("pixel_values")).features}};
}

/// Whole models: pictures through encoder and connector, their tokens in place of the ids that
/// stand for them, and what the language model makes of it.
Outputs seeing(const Fixture& fixture) {
  const Checkpoint checkpoint = open_checkpoint(fixture.model_folder, fixture.placement);
  const auto encoder = vision::make_image_encoder(vision_part(checkpoint));
  const auto connector =
      vision::make_connector_parts(connector_part(checkpoint), encoder->width()).connector;
  const at::Tensor pixels = fixture.input("pixel_values");
  const at::Tensor pictures = pixels.dim() == 5 ? pixels.flatten(0, 1) : pixels;
  const at::Tensor features = connector->connect(encoder->encode(pictures)).features;

  const auto model = llm::load_reference_model(fixture.model_folder, fixture.placement);
  const at::Tensor ids = fixture.input("input_ids").to(at::kLong).squeeze(0);
  const Json& config = checkpoint.config();
  const int64_t image = config.get("image_token_id", config.get("image_token_index", -1));
  at::Tensor rows = model->embed(ids).clone();
  rows.index_put_({(ids == image).to(rows.device())},
                  features.flatten(0, 1).to(rows.scalar_type()));
  return {{"logits", llm::sequence_logits(*model, rows).unsqueeze(0)},
          {"image_features", features}};
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
      {"clip_vision_model", clip_vision},
      {"image_processor", image_processor},
      {"llama", causal_lm},
      {"llava", seeing},
      {"mamba", causal_lm},
      {"mistral", causal_lm},
      {"qwen2", causal_lm},
      {"qwen3", causal_lm},
      {"siglip_vision_model", siglip_vision},
      {"smollm3", causal_lm},
      {"smolvlm", seeing},
      {"whisper", whisper},
      {"whisper_features", whisper_features},
  };
  return all;
}

}  // namespace lv::apps
