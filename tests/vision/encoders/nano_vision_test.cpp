#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

// Three blocks at strides of 2, 4 and 8 with 2, 3 and 4 channels; the first two widen nothing.
const std::string kConfig = R"({"architectures": ["NanoVision"], "stem_channels": 2,
  "head_channels": 5, "num_classes": 3, "taps": [0, 1, 2],
  "stages": [[1, 3, 1, 1, 2], [1, 3, 2, 1, 3], [1, 3, 2, 2, 4]]})";

/// A published network of batch norms that change nothing, and the same one folded.
NamedTensors tensors() {
  NamedTensors all;
  uint32_t seed = 0;
  const auto conv = [&](const std::string& folded, const std::string& name, const std::string& norm,
                        int64_t out, int64_t in, int64_t kernel) {
    const at::Tensor weight = lcg_tensor(++seed, {out, in, kernel, kernel});
    const at::Tensor bias = lcg_tensor(++seed, {out});
    all["classifier." + name + ".weight"] = weight;
    all["classifier." + norm + ".weight"] = at::ones({out});
    all["classifier." + norm + ".bias"] = bias;
    all["classifier." + norm + ".running_mean"] = at::zeros({out});
    all["classifier." + norm + ".running_var"] = at::full({out}, 1 - 1e-3);
    if (folded.empty()) return;
    all["eyes." + folded + ".weight"] = weight;
    all["eyes." + folded + ".bias"] = bias;
  };
  conv("stem", "_conv_stem", "_bn0", 2, 3, 3);
  const auto block = [&](const std::string& number, int64_t in, int64_t wide, int64_t out) {
    const std::string to = "blocks." + number + ".layers.", at = "_blocks." + number + ".";
    int layer = 0;
    if (wide != in) {
      conv(to + std::to_string(layer++), at + "_expand_conv", at + "_bn0", wide, in, 1);
    }
    conv(to + std::to_string(layer++), at + "_depthwise_conv", at + "_bn1", wide, 1, 3);
    conv(to + std::to_string(layer++), at + "_project_conv", at + "_bn2", out, wide, 1);
  };
  block("0", 2, 2, 2);
  block("1", 2, 2, 3);
  block("2", 3, 6, 4);
  conv("", "_conv_head", "_bn1", 5, 4, 1);
  all["classifier._fc.weight"] = lcg_tensor(98, {3, 5});
  all["classifier._fc.bias"] = lcg_tensor(99, {3});
  return all;
}

ImageEncoderPtr eyes(const std::string& config = kConfig) {
  return make_image_encoder(checkpoint_of(config, tensors()));
}

/// The classifier alone, or the same network cut behind its first blocks by a head that hands on.
ImageEncoderPtr classifier() {
  NamedTensors own;
  for (const auto& [name, tensor] : tensors()) {
    if (name.starts_with("classifier.")) own[name.substr(11)] = tensor;
  }
  std::string config = kConfig;
  config.replace(config.find("NanoVision"), 10, "EfficientNetLite");
  return make_image_encoder(checkpoint_of(config, std::move(own)));
}

const at::Tensor kPixels = lcg_tensor(7, {2, 3, 16, 24});

TEST_CASE("nano's features are the eyes' maps of each resolution, then the classifier's") {
  const PictureFeatures got = eyes()->encode(kPixels);
  CHECK(got.grid.rows == 2);
  CHECK(got.grid.columns == 3);
  // 4 channels, 3 of four places, 2 of sixteen, 5 of the classifier.
  REQUIRE(got.features.sizes() == at::IntArrayRef({2, 6, 4 + 3 * 4 + 2 * 16 + 5}));
  CHECK(eyes()->width() == got.features.size(2));
  CHECK_THAT(got.features.slice(2, 48), CloseTo(classifier()->encode(kPixels).features));
}

TEST_CASE("nano's eyes see in a cell of 8 pixels what its finer maps have there") {
  // A picture alone in the cell's surroundings: only cells near what differs differ, and finer
  // maps' places are where the pixels are.
  at::Tensor other = kPixels.clone();
  other[0].slice(2, 22).zero_();  // the right border of the last column of cells
  const at::Tensor change =
      (eyes()->encode(other).features - eyes()->encode(kPixels).features).abs()[0].view({2, 3, -1});
  CHECK(change.slice(1, 0, 1).slice(2, 0, 48).max().item<float>() == 0);
  // Of the finest map, channel by channel [2, 4, 4], columns left of what differs by more than the
  // filters reach stay.
  const at::Tensor finest = change.select(1, 2).slice(1, 16, 48).view({2, 2, 4, 4});
  CHECK(finest.select(3, 0).max().item<float>() == 0);
  CHECK(finest.select(3, 3).max().item<float>() > 0);
}

TEST_CASE("nano's labels are those of its classifier") {
  const at::Tensor own = (*eyes()->class_head())(eyes()->encode(kPixels).features.mean(1));
  const at::Tensor alone =
      (*classifier()->class_head())(classifier()->encode(kPixels).features.mean(1));
  CHECK_THAT(own, CloseTo(alone));
}

TEST_CASE("nano's eyes say which sizes and blocks they take") {
  CHECK_THROWS_MATCHES(eyes()->encode(at::zeros({1, 3, 16, 20})), Error,
                       IsError(ErrorCode::kInvalidArgument, "multiples of 8"));
  for (const char* taps : {"[]", "[0, 1]", "[2, 1, 2]", "[0, 9]"}) {
    std::string config = kConfig;
    config.replace(config.find("[0, 1, 2]"), 9, taps);
    CHECK_THROWS_MATCHES(eyes(config), Error, IsError(ErrorCode::kInvalidArgument, "taps"));
  }
}

}  // namespace
}  // namespace lv::vision
