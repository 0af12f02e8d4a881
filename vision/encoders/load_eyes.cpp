#include "vision/encoders/load_eyes.h"

#include <filesystem>
#include <map>
#include <optional>

#include "pipeline/base/error.h"
#include "pipeline/weights/model_parts.h"
#include "vision/preprocess/film_frames.h"

namespace lv::vision {
namespace {

namespace fs = std::filesystem;

/// The image processor's configuration: part of the model's, a file of its own, or part of the
/// whole processor's.
std::optional<Json> processor_files(const Checkpoint& checkpoint) {
  if (const Json* inside = checkpoint.config().find("image_processor")) return *inside;
  const fs::path folder = checkpoint.path();
  const fs::path whole = folder / "processor_config.json",
                 own = folder / "preprocessor_config.json";
  if (fs::is_regular_file(whole)) {
    const Json config = read_json_file(whole.string());
    if (const Json* part = config.find("image_processor")) return *part;
  }
  if (!fs::is_regular_file(own)) return std::nullopt;
  return read_json_file(own.string());
}

/// LEOPARD's own program shares out tiles before the encoder's processor, whose files it may bring:
/// those keys count, and what the model's configuration says of tiles.
Json leopard_processor(const Json& whole, const std::optional<Json>& files) {
  const Json halves = Json::Array{0.5, 0.5, 0.5};
  const Json side = whole.at("vision_config").at("image_size");
  Json config = Json::Object();
  config.set("image_mean", halves);
  config.set("image_std", halves);
  if (files) {
    for (const auto& [key, value] : files->as_object()) config.set(key, value);
  }
  if (const Json* budget = whole.find("tile_budget")) config.set("tile_budget", *budget);
  config.set("size", Json::Object{{"height", side}, {"width", side}});
  config.set("image_processor_type", "LeopardImageProcessor");
  return config;
}

Json processor_config(const Checkpoint& checkpoint) {
  const Json& whole = checkpoint.config();
  std::optional<Json> config = processor_files(checkpoint);
  if (checkpoint.architecture() == "LeopardLlavaForConditionalGeneration") {
    return leopard_processor(whole, config);
  }
  check(config.has_value(), ErrorCode::kNotFound,
        checkpoint.name() + ": expected preprocessor_config.json beside it, got none");
  // LLaVA's own files say it of the model.
  if (const Json* ratio = whole.find("image_aspect_ratio")) {
    config->set("image_aspect_ratio", *ratio);
  }
  return *config;
}

/// What AuroraCap's own program keeps unless it is told otherwise.
constexpr double kAuroraCapKeep = 0.8;

/// How tokens merge in the encoders of models that were trained so, by the architecture of the
/// whole.
std::optional<LayerMerging> trained_merging(const Checkpoint& checkpoint) {
  using Make = LayerMerging (*)(const Json& config);
  static const std::map<std::string_view, Make> all = {
      {"AuroraForConditionalGeneration",
       [](const Json& config) {
         return LayerMerging{config.get("visual_token_merge_ratio", kAuroraCapKeep),
                             LayerMerging::Schedule::kConstant, LayerMerging::Attention::kPlain,
                             LayerMerging::Order::kMerging};
       }},
  };
  const auto found = all.find(checkpoint.architecture());
  if (found == all.end()) return std::nullopt;
  return found->second(checkpoint.config());
}

}  // namespace

EncodeParts load_eyes(const Checkpoint& checkpoint) {
  const Checkpoint encoder = vision_part(checkpoint);
  const Json config = processor_config(checkpoint);
  EncodeParts parts;
  parts.processor = make_image_processor(config);
  parts.film_processor = make_film_processor(config);
  parts.page_processor = make_page_processor(config);
  parts.encoder = make_image_encoder(encoder);
  parts.device = encoder.computing().device;
  parts.replay = std::make_shared<EncoderReplay>(parts.encoder);
  parts.architecture = encoder.architecture();
  parts.merging = trained_merging(checkpoint);
  ConnectorParts joint = make_connector_parts(connector_part(checkpoint), parts.encoder->width());
  parts.connector = std::move(joint.connector);
  parts.arranger = std::move(joint.arranger);
  return parts;
}

std::optional<PacedFrames> load_film_frames(const Checkpoint& checkpoint) {
  return film_frames(processor_config(checkpoint));
}

}  // namespace lv::vision
