#include "vision/encoders/load_eyes.h"

#include <filesystem>

#include "pipeline/base/error.h"
#include "pipeline/weights/model_parts.h"

namespace lv::vision {
namespace {

namespace fs = std::filesystem;

/// The image processor's configuration: a file of its own, or part of the whole processor's.
Json processor_config(const Checkpoint& checkpoint) {
  const fs::path folder = checkpoint.path();
  const fs::path whole = folder / "processor_config.json",
                 own = folder / "preprocessor_config.json";
  if (fs::is_regular_file(whole)) {
    const Json config = read_json_file(whole.string());
    if (const Json* part = config.find("image_processor")) return *part;
  }
  check(fs::is_regular_file(own), ErrorCode::kNotFound,
        checkpoint.name() + ": expected preprocessor_config.json beside it, got none");
  return read_json_file(own.string());
}

}  // namespace

EncodeParts load_eyes(const Checkpoint& checkpoint) {
  const Checkpoint encoder = vision_part(checkpoint);
  const Json config = processor_config(checkpoint);
  EncodeParts parts;
  parts.processor = make_image_processor(config);
  parts.film_processor = make_film_processor(config);
  parts.encoder = make_image_encoder(encoder);
  ConnectorParts joint = make_connector_parts(connector_part(checkpoint), parts.encoder->width());
  parts.connector = std::move(joint.connector);
  parts.arranger = std::move(joint.arranger);
  return parts;
}

}  // namespace lv::vision
