#include "vision/preprocess/image_processor.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"
#include "vision/preprocess/normalize.h"

namespace lv::vision {
namespace {

// tests/data/vision/make_vision.py makes it.
at::Tensor golden(const std::string& name) {
  static const TensorStorePtr store =
      open_safetensors(data("tests/data/vision/vision.safetensors"));
  return std::get<at::Tensor>(store->get(name));
}

Json config_of(const std::string& type, const std::string& keys) {
  return parse_json("{\"image_processor_type\": \"" + type + "\", " + keys + "}", type);
}

const char* const kClipColours =
    "\"image_mean\": [0.48145466, 0.4578275, 0.40821073],"
    "\"image_std\": [0.26862954, 0.26130258, 0.27577711]";
const char* const kHalves = "\"image_mean\": [0.5, 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5]";

ProcessedPicture process(const std::string& type, const std::string& keys, const char* colours,
                         const at::Tensor& picture) {
  return make_image_processor(config_of(type, keys + ", " + colours))->process(picture);
}

TEST_CASE("the CLIP processor equals the reference") {
  const ProcessedPicture got =
      process("CLIPImageProcessor",
              R"("size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20})",
              kClipColours, golden("frame_0"));
  CHECK_THAT(got.pixels, CloseTo(golden("clip"), 1e-6, 1e-6));
  // 160 x 96 becomes 33 x 20, of which columns 6 to 26 stay.
  CHECK_THAT(got.boxes, CloseTo(at::tensor({6.f / 33, 0.f, 26.f / 33, 1.f}).view({1, 4})));
  CHECK(got.tiles.rows == 0);
}

TEST_CASE("the CLIP processor pads what is smaller than its crop") {
  const ProcessedPicture got = process("CLIPImageProcessor", R"("size": 13, "crop_size": 20)",
                                       kClipColours, golden("frame_0"));
  CHECK_THAT(got.pixels, CloseTo(golden("clip_padded"), 1e-6, 1e-6));
  CHECK(got.boxes[0][1].item<float>() < 0);
  CHECK(got.boxes[0][3].item<float>() > 1);
}

TEST_CASE("the SigLIP processor equals the reference") {
  const ProcessedPicture got = process(
      "SiglipImageProcessor", R"("size": {"height": 20, "width": 20})", kHalves, golden("frame_0"));
  CHECK_THAT(got.pixels, CloseTo(golden("siglip"), 1e-6, 1e-6));
}

TEST_CASE("the SmolVLM processor equals the reference, tile by tile") {
  const ProcessedPicture got = process(
      "SmolVLMImageProcessor",
      R"("size": {"longest_edge": 40}, "max_image_size": {"longest_edge": 20}, "resample": 1)",
      kHalves, golden("frame_0"));
  CHECK_THAT(got.pixels, CloseTo(golden("smolvlm"), 1e-6, 1e-6));
  CHECK(got.tiles.rows == 2);
  CHECK(got.tiles.columns == 2);
  CHECK(at::equal(got.boxes[1], at::tensor({0.5f, 0.f, 1.f, 0.5f})));
  CHECK(at::equal(got.boxes[4], at::tensor({0.f, 0.f, 1.f, 1.f})));
}

TEST_CASE("the EfficientNet-Lite processor takes the middle as the reference does") {
  const auto processor =
      make_image_processor(config_of("EfficientNetLiteImageProcessor", "\"image_size\": 224"));
  for (const char* const i : {"0", "1"}) {
    const ProcessedPicture got = processor->process(golden(std::string("frame_") + i));
    REQUIRE(got.pixels.sizes() == at::IntArrayRef({1, 3, 224, 224}));
    const at::Tensor some = at::slice(at::slice(got.pixels[0], 1, 0, 224, 16), 2, 0, 224, 16);
    CHECK(at::equal(some, golden(std::string("lite_pixels_") + i)));
  }
}

TEST_CASE("the EfficientNet-Lite processor can keep the whole picture") {
  const auto processor = make_image_processor(
      config_of("EfficientNetLiteImageProcessor", "\"image_size\": 64, \"do_center_crop\": false"));
  const ProcessedPicture wide = processor->process(golden("frame_0"));
  CHECK(wide.pixels.sizes() == at::IntArrayRef({1, 3, 64, 96}));
  CHECK(at::equal(wide.boxes, at::tensor({0.f, 0.f, 1.f, 1.f}).view({1, 4})));
  const ProcessedPicture tall = processor->process(golden("frame_0").transpose(0, 1));
  CHECK(tall.pixels.sizes() == at::IntArrayRef({1, 3, 96, 64}));
}

TEST_CASE("image processors take a picture of one pixel") {
  const at::Tensor dot = at::full({1, 1, 3}, 127, at::kByte);
  const auto lite =
      make_image_processor(config_of("EfficientNetLiteImageProcessor", "\"image_size\": 32"));
  CHECK(at::equal(lite->process(dot).pixels, at::zeros({1, 3, 32, 32})));
  CHECK(
      process("CLIPImageProcessor", R"("size": 8, "crop_size": 8)", kHalves, dot).pixels.sizes() ==
      at::IntArrayRef({1, 3, 8, 8}));
}

TEST_CASE("image processors refuse what is no picture and no configuration") {
  CHECK_THROWS_AS(make_image_processor(config_of("MagicProcessor", "\"a\": 1")), Error);
  CHECK_THROWS_AS(make_image_processor(parse_json("{}", "empty")), Error);
  CHECK_THROWS_AS(
      make_image_processor(config_of("EfficientNetLiteImageProcessor", "\"image_size\": 0")),
      Error);
  const char* const type = "SiglipImageProcessor";
  const std::string size = R"("size": {"height": 4, "width": 4}, )";
  CHECK_THROWS_AS(make_image_processor(
                      config_of(type, size + R"("image_mean": [0, 0], "image_std": [1, 1, 1])")),
                  Error);
  CHECK_THROWS_AS(make_image_processor(
                      config_of(type, size + R"("image_mean": [0, 0, 0], "image_std": [1, 0, 1])")),
                  Error);
  const auto siglip = make_image_processor(config_of(type, size + kHalves));
  CHECK_THROWS_AS(siglip->process(at::zeros({4, 4})), Error);
  CHECK_THROWS_AS(siglip->process(at::zeros({4, 4, 3})), Error);
  CHECK_THROWS_AS(siglip->process(at::zeros({0, 4, 3}, at::kByte)), Error);
}

TEST_CASE("normalising computes (byte * scale - mean) / std") {
  const Normalizer normalize(1.0 / 255, {0.5, 0.25, 0}, {0.5, 0.5, 2});
  const at::Tensor picture = at::tensor({0, 51, 255}, at::kByte).view({1, 1, 3});
  CHECK_THAT(normalize(picture).flatten(), CloseTo(at::tensor({-1.f, -0.1f, 0.5f})));
}

}  // namespace
}  // namespace lv::vision
