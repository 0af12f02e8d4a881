#include <ATen/ATen.h>

#include "pipeline/base/json.h"
#include "tests/support/close_to.h"
#include "vision/preprocess/image_processor.h"

namespace lv::vision {
namespace {

ImageProcessorPtr processor(const std::string& keys) {
  return make_image_processor(parse_json(
      R"({"image_processor_type": "Qwen2VLImageProcessor", "image_mean": [0.5, 0.5, 0.5],
          "image_std": [0.5, 0.5, 0.5], )" +
          keys + "}",
      "preprocessor_config.json"));
}

TEST_CASE("Qwen2-VL's pictures get the sizes that the reference chooses") {
  const Json golden = read_json_file(data("tests/data/vision/qwen2_5_vl.json"));
  const auto keys = GENERATE(R"("min_pixels": 3136, "max_pixels": 1003520)",
                             R"("size": {"shortest_edge": 3136, "longest_edge": 1003520})");
  const auto made = processor(keys);
  for (const Json& row : golden.at("sizes").as_array()) {
    const auto& n = row.as_array();
    CAPTURE(row.dump());
    const at::Tensor picture = at::zeros({n[0].as_int(), n[1].as_int(), 3}, at::kByte);
    CHECK(made->process(picture).pixels.sizes() ==
          at::IntArrayRef({1, 3, n[2].as_int(), n[3].as_int()}));
  }
}

ImageProcessorPtr film_processor(const char* keys) {
  return make_film_processor(parse_json(
      R"({"image_processor_type": "Qwen2VLImageProcessor", "image_mean": [0.5, 0.5, 0.5],
          "image_std": [0.5, 0.5, 0.5], "patch_size": 2, "merge_size": 2)" +
          std::string(keys) + "}",
      "preprocessor_config.json"));
}

TEST_CASE("the frames of a film share what the reference lets it be") {
  const Json golden = read_json_file(data("tests/data/vision/film_frames.json"));
  const auto made = film_processor(R"(, "max_video_tokens": 2000)");
  for (const Json& row : golden.at("qwen_sizes").as_array()) {
    const auto& n = row.as_array();
    CAPTURE(row.dump());
    const at::Tensor frame = at::zeros({n[1].as_int(), n[2].as_int(), 3}, at::kByte);
    CHECK(made->process_frame(frame, n[0].as_int()).pixels.sizes() ==
          at::IntArrayRef({1, 3, n[3].as_int(), n[4].as_int()}));
  }
}

TEST_CASE("frames are as large as one alone where no bound or no number of them is known") {
  const at::Tensor frame = at::zeros({200, 260, 3}, at::kByte);
  const auto bound = film_processor("");  // 128000 tokens
  const auto free = film_processor(R"(, "cap_pixels_per_frame": false)");
  const at::Tensor whole = bound->process(frame).pixels;
  CHECK(bound->process_frame(frame, 0).pixels.sizes() == whole.sizes());
  CHECK(bound->process_frame(frame, 300).pixels.sizes() == whole.sizes());
  CHECK(bound->process_frame(frame, 600).pixels.numel() < whole.numel());
  CHECK(free->process_frame(frame, 600).pixels.sizes() == whole.sizes());
  CHECK_THROWS_WITH(film_processor(R"(, "max_video_tokens": 0)"),
                    Catch::Contains("max_video_tokens"));
}

TEST_CASE("Qwen2-VL's processor refuses slivers and bounds that contradict each other") {
  CHECK_THROWS_WITH(processor(R"("min_pixels": 9)")->process(at::zeros({1, 201, 3}, at::kByte)),
                    Catch::Contains("at most 200 to 1, got 201 x 1"));
  CHECK_THROWS_WITH(processor(R"("min_pixels": 9, "max_pixels": 4)"), Catch::Contains("9 to 4"));
  CHECK_THROWS_WITH(processor(R"("patch_size": 0)"), Catch::Contains("patch_size"));
}

}  // namespace
}  // namespace lv::vision
