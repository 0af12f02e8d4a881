#include "vision/preprocess/film_frames.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

std::optional<PacedFrames> frames_of(const std::string& config) {
  return film_frames(parse_json(config, "config"));
}

}  // namespace

TEST_CASE("models say at which pace they saw films") {
  const auto smolvlm = frames_of(R"({"image_processor_type": "SmolVLMImageProcessor",
      "video_sampling": {"fps": 2, "max_frames": 32, "video_size": {"longest_edge": 512}}})");
  REQUIRE(smolvlm);
  CHECK((smolvlm->rate == 2 && smolvlm->most == 32 && smolvlm->to_the_end));
  CHECK(frames_of(R"({"image_processor_type": "SmolVLMImageProcessor"})")->most == 64);
  const auto qwen = frames_of(R"({"image_processor_type": "Qwen2VLImageProcessor"})");
  REQUIRE(qwen);
  CHECK((qwen->rate == 2 && qwen->least == 4 && qwen->most == 768 && qwen->multiple == 2));
  CHECK_FALSE(frames_of(R"({"image_processor_type": "CLIPImageProcessor"})"));
  CHECK_FALSE(frames_of("{}"));
}

TEST_CASE("a pace that is none is refused by its key") {
  CHECK_THROWS_WITH(frames_of(R"({"image_processor_type": "Qwen2VLImageProcessor", "fps": 0})"),
                    Catch::Contains("fps: expected more than 0"));
  CHECK_THROWS_WITH(
      frames_of(R"({"image_processor_type": "Qwen2VLImageProcessor", "max_frames": 0})"),
      Catch::Contains("max_frames: expected 1 to 65536, got 0"));
  CHECK_THROWS_WITH(
      frames_of(R"({"image_processor_type": "Qwen2VLImageProcessor", "max_frames": 2})"),
      Catch::Contains("min_frames: expected at most max_frames, 2"));
}

}  // namespace lv::vision
