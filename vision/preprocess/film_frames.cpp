#include "vision/preprocess/film_frames.h"

#include <cmath>
#include <map>
#include <string>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

constexpr int64_t kMostFrames = 1 << 16;

double rate_of(const Json& config, double fallback) {
  const double rate = config.get("fps", fallback);
  check(std::isfinite(rate) && rate > 0, ErrorCode::kInvalidArgument,
        "fps: expected more than 0, got " + std::to_string(rate));
  return rate;
}

int64_t count_of(const Json& config, const char* key, int64_t fallback) {
  const int64_t count = config.get(key, fallback);
  check(count >= 1 && count <= kMostFrames, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to 65536, got " + std::to_string(count));
  return count;
}

/// Reference: Marafioti et al., SmolVLM, 2025; as transformers' SmolVLMVideoProcessor.
PacedFrames smolvlm_frames(const Json& config) {
  const Json* sampling = config.find("video_sampling");
  const Json none = Json::Object();
  const Json& keys = sampling != nullptr ? *sampling : none;
  return {rate_of(keys, 1), 1, count_of(keys, "max_frames", 64), 1, true, 1};
}

/// Reference: Bai et al., Qwen2.5-VL Technical Report, arXiv 2502.13923, section 2.1; as
/// transformers' Qwen2VLVideoProcessor.
PacedFrames qwen_frames(const Json& config) {
  const int64_t most = count_of(config, "max_frames", 768);
  const int64_t least = count_of(config, "min_frames", 4);
  check(least <= most, ErrorCode::kInvalidArgument,
        "min_frames: expected at most max_frames, " + std::to_string(most) + ", got " +
            std::to_string(least));
  return {rate_of(config, 2), least, most, 2, false, 0};
}

/// Reference: models/nano/recipe, driving/sample.py and photos.py.
PacedFrames nano_frames(const Json& config) {
  return {rate_of(config, 2), count_of(config, "min_frames", 4), count_of(config, "max_frames", 8)};
}

}  // namespace

std::optional<PacedFrames> film_frames(const Json& config) {
  static const std::map<std::string_view, PacedFrames (*)(const Json&)> all = {
      {"NanoImageProcessor", nano_frames},           {"Qwen2VLImageProcessor", qwen_frames},
      {"Qwen2VLImageProcessorFast", qwen_frames},    {"SmolVLMImageProcessor", smolvlm_frames},
      {"SmolVLMImageProcessorFast", smolvlm_frames},
  };
  const auto found = all.find(config.get("image_processor_type", ""));
  if (found == all.end()) return std::nullopt;
  return found->second(config);
}

}  // namespace lv::vision
