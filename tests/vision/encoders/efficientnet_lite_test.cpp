#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"
#include "vision/connectors/classwords.h"
#include "vision/encoders/image_encoder.h"
#include "vision/preprocess/image_processor.h"

namespace lv::vision {
namespace {

const std::string kWeights = ".deps/models/efficientnet-lite0";

// tests/data/vision/make_vision.py makes it.
at::Tensor golden(const std::string& name) {
  static const TensorStorePtr store =
      open_safetensors(data("tests/data/vision/vision.safetensors"));
  return std::get<at::Tensor>(store->get(name));
}

const Checkpoint& real_checkpoint() {
  static const Checkpoint checkpoint = open_checkpoint(data(kWeights));
  return checkpoint;
}

ImageEncoderPtr real_encoder() {
  static const ImageEncoderPtr encoder = make_image_encoder(real_checkpoint());
  return encoder;
}

at::Tensor pixels_of(const std::string& frame) {
  return make_image_processor(real_checkpoint().config())->process(golden(frame)).pixels;
}

TEST_CASE("EfficientNet-Lite0 equals the reference package on real frames", "[models]") {
  for (const char* const i : {"0", "1"}) {
    const PictureFeatures got = real_encoder()->encode(pixels_of(std::string("frame_") + i));
    CHECK(got.grid.rows == 7);
    CHECK(got.grid.columns == 7);
    REQUIRE(got.features.sizes() == at::IntArrayRef({1, 49, 1280}));
    const at::Tensor some = at::slice(got.features[0], 1, 0, 1280, 32);
    const at::Tensor features = golden(std::string("lite_features_") + i);
    const at::Tensor logits = golden(std::string("lite_logits_") + i);
    // 1e-4 of the largest value: the folded norm rounds in another place.
    CHECK_THAT(some, CloseTo(features, 0, 1e-4 * features.abs().max().item<double>()));
    CHECK_THAT((*real_encoder()->class_head())(got.features[0].mean(0)),
               CloseTo(logits, 0, 1e-4 * logits.abs().max().item<double>()));
  }
}

TEST_CASE("EfficientNet-Lite0 names what is in a frame", "[models]") {
  const auto names = read_class_names(data("models/nano/imagenet_classes.txt"));
  REQUIRE(names.size() == 1000);
  CHECK(names[0] == "tench");
  CHECK(names[999] == "toilet tissue");
  const at::Tensor features = real_encoder()->encode(pixels_of("frame_0")).features[0];
  const at::Tensor logits = (*real_encoder()->class_head())(features.mean(0));
  const at::Tensor best = std::get<1>(logits.topk(3));
  std::vector<std::string> found;
  for (int i = 0; i < 3; ++i) found.push_back(names[best[i].item<int64_t>()]);
  CHECK(found == std::vector<std::string>{"car mirror", "minivan", "sports car"});
}

TEST_CASE("EfficientNet-Lite0 gives each picture of a batch what it gives it alone", "[models]") {
  const at::Tensor a = pixels_of("frame_0"), b = pixels_of("frame_1");
  const at::Tensor both = real_encoder()->encode(at::cat({a, b})).features;
  CHECK_THAT(both[0], CloseTo(real_encoder()->encode(a).features[0]));
  CHECK_THAT(both[1], CloseTo(real_encoder()->encode(b).features[0]));
}

TEST_CASE("EfficientNet-Lite0 takes pictures of any size, and nothing else", "[models]") {
  const PictureFeatures wide = real_encoder()->encode(lcg_tensor(1, {1, 3, 65, 97}));
  CHECK(wide.grid.rows == 3);
  CHECK(wide.grid.columns == 4);
  CHECK(wide.features.sizes() == at::IntArrayRef({1, 12, 1280}));
  CHECK_THROWS_AS(real_encoder()->encode(at::zeros({3, 64, 64})), Error);
  CHECK_THROWS_AS(real_encoder()->encode(at::zeros({1, 1, 64, 64})), Error);
  CHECK_THROWS_AS(real_encoder()->encode(at::zeros({0, 3, 64, 64})), Error);
}

}  // namespace
}  // namespace lv::vision
