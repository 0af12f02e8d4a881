#include <ATen/ATen.h>

#include "pipeline/base/json.h"
#include "tests/support/close_to.h"
#include "vision/encoders/image_encoder.h"
#include "vision/preprocess/image_processor.h"

namespace lv::vision {
namespace {

// tests/data/vision/make_siglip2.py makes it.
TensorStorePtr store() {
  static const TensorStorePtr all = open_safetensors(data("tests/data/vision/siglip2.safetensors"));
  return all;
}
at::Tensor golden(const std::string& name) { return std::get<at::Tensor>(store()->get(name)); }
Json described(const char* part) {
  return read_json_file(data("tests/data/vision/siglip2.json")).at(part);
}

ImageEncoderPtr encoder(const Json& config) {
  return make_image_encoder(Checkpoint("tiny", config, store()).part(config, {{"model.", ""}}));
}

TEST_CASE("SigLIP 2 reads pictures of any shape as the reference does") {
  const ImageProcessorPtr processor = make_image_processor(described("processor"));
  const ImageEncoderPtr siglip2 = encoder(described("encoder"));
  for (const std::string i : {"0", "1", "2", "3"}) {
    INFO(i);
    const at::Tensor pixels = processor->process(golden("picture_" + i)).pixels;
    CHECK_THAT(pixels[0], CloseTo(golden("pixels_" + i), 1e-6, 1e-6));
    const PictureFeatures got = siglip2->encode(pixels);
    CHECK(got.grid.rows * got.grid.columns == got.features.size(1));
    CHECK_THAT(got.features[0], CloseTo(golden("features_" + i), 1e-4, 1e-5));
  }
}

TEST_CASE("SigLIP 2 gives the layers that a language model reads") {
  Json config = described("encoder");
  config.set("vision_feature_layer", Json::Array{Json(1), Json(-1)});
  const ImageEncoderPtr both = encoder(config);
  CHECK(both->width() == 48);
  const PictureFeatures got = both->encode(golden("pixels_2").unsqueeze(0));
  const at::Tensor normed =
      at::layer_norm(got.features.slice(2, 24), {24}, golden("model.post_layernorm.weight"),
                     golden("model.post_layernorm.bias"), 1e-6);
  CHECK_THAT(normed[0], CloseTo(golden("features_2"), 1e-4, 1e-5));
}

TEST_CASE("SigLIP 2 refuses what does not fit") {
  Json config = described("encoder");
  const ImageEncoderPtr siglip2 = encoder(config);
  CHECK_THROWS_WITH(siglip2->encode(at::zeros({1, 3, 8, 10})), Catch::Contains("whole patches"));
  config.set("num_patches", 24);
  CHECK_THROWS_WITH(encoder(config), Catch::Contains("num_patches"));
  Json processor = described("processor");
  processor.set("max_num_patches", 0);
  CHECK_THROWS_WITH(make_image_processor(processor), Catch::Contains("max_num_patches"));
}

}  // namespace
}  // namespace lv::vision
