#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/launch.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

const char* const kConfigs[] = {
    R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 56},
        "crop_size": {"height": 56, "width": 56}, "image_mean": [0.48, 0.45, 0.4],
        "image_std": [0.26, 0.26, 0.27]})",
    R"({"image_processor_type": "CLIPImageProcessor", "do_resize": false,
        "crop_size": {"height": 300, "width": 40}, "image_mean": [0.48, 0.45, 0.4],
        "image_std": [0.26, 0.26, 0.27]})",
    R"({"image_processor_type": "LlavaImageProcessor", "size": {"shortest_edge": 56},
        "crop_size": {"height": 56, "width": 56}, "do_pad": true, "image_mean": [0.48, 0.45, 0.4],
        "image_std": [0.26, 0.26, 0.27]})",
    R"({"image_processor_type": "SiglipImageProcessor", "size": {"height": 64, "width": 48},
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})",
    R"({"image_processor_type": "Idefics2ImageProcessor", "do_image_splitting": true,
        "size": {"shortest_edge": 28, "longest_edge": 70}, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5]})",
    R"({"image_processor_type": "LlavaOnevisionImageProcessor",
        "size": {"height": 28, "width": 28}, "image_grid_pinpoints": [[28, 56], [56, 56]],
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})",
    R"({"image_processor_type": "Qwen2VLImageProcessor", "image_mean": [0.48, 0.45, 0.4],
        "image_std": [0.26, 0.26, 0.27]})",
    R"({"image_processor_type": "SmolVLMImageProcessor", "size": {"longest_edge": 128},
        "max_image_size": {"longest_edge": 64}, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5]})",
};

}  // namespace

TEST_CASE("pictures are scaled on a GPU as on the CPU, bit for bit", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  const at::Tensor picture = at::randint(256, {97, 131, 3}, at::kByte);
  const Filter filter =
      GENERATE(Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos);
  const auto [height, width] = GENERATE(
      table<int64_t, int64_t>({{97, 131}, {50, 40}, {20, 131}, {97, 60}, {300, 200}, {1, 1}}));
  CAPTURE(static_cast<int>(filter), height, width);
  const at::Tensor there = picture.to(at::kCUDA);
  CHECK(
      resample(there, height, width, filter).cpu().equal(resample(picture, height, width, filter)));
  const PixelBox part{3.5, 2.25, 90, 80.75};
  CHECK(resample(there, part, height, width, filter)
            .cpu()
            .equal(resample(picture, part, height, width, filter)));
}

TEST_CASE("image processors make on a GPU what they make on the CPU, bit for bit", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  const std::string config = GENERATE(from_range(std::begin(kConfigs), std::end(kConfigs)));
  CAPTURE(config);
  const ImageProcessorPtr processor = make_image_processor(parse_json(config, "config"));
  const auto [height, width] =
      GENERATE(table<int64_t, int64_t>({{97, 131}, {131, 97}, {56, 56}, {240, 80}}));
  const at::Tensor picture = at::randint(256, {height, width, 3}, at::kByte);
  const ProcessedPicture here = processor->process(picture);
  const ProcessedPicture there = processor->process(picture.to(at::kCUDA));
  CHECK(there.pixels.is_cuda());
  CHECK(there.pixels.cpu().equal(here.pixels));
  CHECK(there.boxes.equal(here.boxes));
}

}  // namespace lv::vision
