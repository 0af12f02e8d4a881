#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "tests/support/close_to.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

const char* const kTensors = "tests/data/vision/qwen2_5_vl.safetensors";

Json golden() { return read_json_file(data("tests/data/vision/qwen2_5_vl.json")); }

ImageEncoderPtr tiny_encoder(const Json& config) {
  const Checkpoint all("tiny", config, open_safetensors(data(kTensors)));
  return make_image_encoder(all.part(config, {{"model.", ""}}));
}

at::Tensor stored(const char* name) {
  return std::get<at::Tensor>(open_safetensors(data(kTensors))->get(name));
}

TEST_CASE("Qwen2.5-VL's encoder gives the reference's features, windows at the edges included") {
  const auto encoder = tiny_encoder(golden().at("config"));
  const PictureFeatures got = encoder->encode(stored("pixels"));
  CHECK(got.grid.rows == 5);
  CHECK(got.grid.columns == 3);
  CHECK(encoder->width() == 12);
  CHECK_THAT(got.features, CloseTo(stored("features"), 1e-4, 1e-5));
}

TEST_CASE("Qwen2.5-VL's encoder reads each picture by itself") {
  const auto encoder = tiny_encoder(golden().at("config"));
  const at::Tensor alone = encoder->encode(stored("pixels").slice(0, 1)).features;
  CHECK_THAT(alone, CloseTo(stored("features").slice(0, 1), 1e-4, 1e-5));
}

TEST_CASE("Qwen2.5-VL's encoder reads a picture as a film of equal frames") {
  const auto encoder = tiny_encoder(golden().at("config"));
  CHECK(encoder->frames_together() == 2);
  const at::Tensor pixels = stored("pixels");
  const PictureFeatures still = encoder->encode(at::stack({pixels, pixels}, 1));
  CHECK_THAT(still.features, CloseTo(stored("features"), 1e-4, 1e-5));
  const PictureFeatures moving = encoder->encode(at::stack({pixels, pixels.flip(3)}, 1));
  CHECK_FALSE(at::allclose(moving.features, still.features, 1e-2, 1e-2));
  CHECK_THROWS_WITH(encoder->encode(at::zeros({1, 3, 3, 40, 24})), Catch::Contains("pixels"));
}

TEST_CASE("Qwen2.5-VL's encoder refuses what it cannot read") {
  Json config = golden().at("config");
  const auto encoder = tiny_encoder(config);
  CHECK_THROWS_WITH(encoder->encode(at::zeros({1, 3, 40, 20})), Catch::Contains("multiples of 8"));
  CHECK_THROWS_WITH(encoder->encode(at::zeros({1, 3, 0, 8})), Catch::Contains("multiples of 8"));
  config.set("num_heads", 3);
  CHECK_THROWS_WITH(tiny_encoder(config), Catch::Contains("hidden_size: expected a multiple"));
  config.set("num_heads", 2);
  config.set("hidden_act", "relu");
  CHECK_THROWS_WITH(tiny_encoder(config), Catch::Contains("expected silu, got relu"));
}

}  // namespace
}  // namespace lv::vision
