#include "vision/encoders/layer_merging.h"

#include <ATen/ATen.h>

#include <map>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/memory_store.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

constexpr int64_t kWidth = 64, kMlp = 96, kSide = 16;

using Schedule = LayerMerging::Schedule;
using Attention = LayerMerging::Attention;
using Order = LayerMerging::Order;

/// Four layers over 8 x 8 patches, with the weights of make_layer_merging.py.
ImageEncoderPtr encoder(const std::string& architecture, const std::string& keys = "") {
  const bool clip = architecture == "CLIPVisionModel";
  uint32_t seed = 0;
  NamedTensors all;
  const auto draw = [&](const std::string& name, std::initializer_list<int64_t> shape) {
    all[name] = lcg_tensor(++seed, shape) * 0.3;
  };
  const auto norm = [&](const std::string& name) {
    all[name + ".weight"] = at::ones({kWidth});
    all[name + ".bias"] = at::zeros({kWidth});
  };
  draw("embeddings.patch_embedding.weight", {kWidth, 3, 2, 2});
  draw("embeddings.position_embedding.weight", {clip ? 65 : 64, kWidth});
  if (clip) {
    draw("embeddings.class_embedding", {kWidth});
    norm("pre_layrnorm");
  }
  norm("post_layernorm");
  for (int i = 0; i < 4; ++i) {
    const std::string at = "encoder.layers." + std::to_string(i) + ".";
    norm(at + "layer_norm1");
    norm(at + "layer_norm2");
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      draw(at + "self_attn." + part + ".weight", {kWidth, kWidth});
    }
    draw(at + "mlp.fc1.weight", {kMlp, kWidth});
    draw(at + "mlp.fc2.weight", {kWidth, kMlp});
  }
  return make_image_encoder(checkpoint_of(
      R"({"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96, "image_size": 16,
          "num_hidden_layers": 4, "patch_size": 2, "hidden_act": "gelu", )" +
          keys + R"( "architectures": [")" + architecture + R"("]})",
      std::move(all)));
}

ImageEncoderPtr clip(const std::string& keys = "") {
  return encoder("CLIPVisionModel", keys + R"("vision_feature_layer": -1,)");
}

at::Tensor pixels() { return lcg_tensor(99, {2, 3, kSide, kSide}); }

PictureFeatures merged(const ImageEncoderPtr& encoder, const LayerMerging& how) {
  REQUIRE(encoder->merging() != nullptr);
  return encoder->merging()->encode_merged(pixels(), how);
}

TEST_CASE("the share of tokens that AuroraCap keeps gives its pairs a layer") {
  const std::map<double, int64_t> expected{{1.0, 0},  {0.9, 2},  {0.8, 4},  {0.5, 11},  {0.4, 13},
                                           {0.3, 15}, {0.2, 18}, {0.1, 20}, {0.05, 21}, {0.01, 22}};
  for (const auto& [keep, pairs] : expected) {
    INFO(keep);
    CHECK(pairs_per_layer({keep}, 729, 32) == std::vector<int64_t>(32, pairs));
  }
  CHECK(pairs_per_layer({0.5, Schedule::kDecreasing}, 64, 4) == std::vector<int64_t>{16, 10, 5, 0});
  CHECK(pairs_per_layer({0.5, Schedule::kDecreasing}, 64, 1) == std::vector<int64_t>{32});
  const double bad = GENERATE(0.0, -1.0, 1.5, std::nan(""));
  CHECK_THROWS_WITH(pairs_per_layer({bad}, 64, 4), Catch::Contains("merging.keep"));
}

TEST_CASE("merging between layers gives what the plain form of the method gives") {
  struct Case {
    const char* name;
    const char* architecture;
    LayerMerging how;
  };
  const Case each = GENERATE(
      Case{"clip_half", "CLIPVisionModel", {0.5}},
      Case{"clip_release",
           "CLIPVisionModel",
           {0.3, Schedule::kConstant, Attention::kPlain, Order::kMerging}},
      Case{"clip_decreasing",
           "CLIPVisionModel",
           {0.5, Schedule::kDecreasing, Attention::kBySize, Order::kMerging}},
      Case{"siglip_third", "SiglipVisionModel", {1.0 / 3}},
      Case{"siglip_plain", "SiglipVisionModel", {0.1, Schedule::kConstant, Attention::kPlain}});
  const std::string name = each.name;
  INFO(name);
  const bool is_clip = name.starts_with("clip");
  const PictureFeatures got = merged(is_clip ? clip() : encoder(each.architecture), each.how);
  const auto golden = open_safetensors(data("tests/data/vision/layer_merging.safetensors"));
  const auto expected = [&](const std::string& what) {
    return std::get<at::Tensor>(golden->get(name + "." + what));
  };
  CHECK_THAT(got.features, CloseTo(expected("features"), 1e-4, 1e-5));
  REQUIRE(got.merged);
  CHECK(at::equal(got.merged->row_of, expected("row_of").to(at::kLong)));
}

TEST_CASE("merged places say how many patches each token stands for, and which") {
  const std::string architecture = GENERATE("CLIPVisionModel", "SiglipVisionModel");
  const PictureFeatures got = merged(encoder(architecture), {0.4});
  REQUIRE(got.merged);
  const MergedPlaces& places = *got.merged;
  CHECK(got.grid.rows == 8);
  CHECK(places.row_of.sizes() == at::IntArrayRef({2, 64}));
  CHECK(places.sizes.sizes() == got.features.sizes().slice(0, 2));
  for (int64_t p = 0; p < 2; ++p) {
    CHECK(at::equal(at::bincount(places.row_of[p]).to(at::kFloat), places.sizes[p]));
    const float likeness = places.likeness[p].item<float>();
    CHECK((likeness > 0.2f && likeness < 1.0f));
  }
  CHECK(places.milliseconds > 0);
}

TEST_CASE("tokens in reading order are those in merging order, sorted by their own patches") {
  const LayerMerging as_merged{0.5, Schedule::kConstant, Attention::kBySize, Order::kMerging};
  const PictureFeatures sorted = merged(clip(), {0.5}), unsorted = merged(clip(), as_merged);
  // What stands for each patch is the same.
  const auto by_patch = [](const PictureFeatures& all) {
    return all.features.gather(1, all.merged->row_of.unsqueeze(2).expand({-1, -1, kWidth}));
  };
  CHECK(at::equal(by_patch(sorted), by_patch(unsorted)));
  CHECK_FALSE(at::equal(sorted.features, unsorted.features));
}

TEST_CASE("a share that merges nothing is the plain encoder, bit for bit") {
  const std::string architecture =
      GENERATE("CLIPVisionModel", "SiglipVisionModel", "Idefics3VisionTransformer");
  const double keep = GENERATE(1.0, 0.99);
  const auto made = encoder(architecture);
  const PictureFeatures got = merged(made, {keep});
  CHECK_FALSE(got.merged);
  CHECK(at::equal(got.features, made->encode(pixels()).features));
}

TEST_CASE("pictures merge side by side as each would alone") {
  const PictureFeatures together = merged(clip(), {0.3});
  for (int64_t p = 0; p < 2; ++p) {
    const PictureFeatures alone =
        clip()->merging()->encode_merged(pixels().slice(0, p, p + 1), {0.3});
    CHECK_THAT(alone.features[0], CloseTo(together.features[p], 1e-4, 1e-5));
    CHECK(at::equal(alone.merged->row_of[0], together.merged->row_of[p]));
  }
}

TEST_CASE("a class token that is read stands for the whole, before and after merging") {
  const PictureFeatures got = merged(clip(R"("vision_feature_select_strategy": "full",)"), {0.5});
  CHECK(got.whole == 1);
  CHECK(at::equal(got.merged->row_of.select(1, 0), at::zeros({2}, at::kLong)));
  CHECK(at::equal(got.merged->sizes.select(1, 0), at::ones({2})));
  const PictureFeatures patches = without_whole(got), direct = merged(clip(), {0.5});
  CHECK(at::equal(patches.features, direct.features));
  CHECK(at::equal(patches.merged->row_of, direct.merged->row_of));
  CHECK(at::equal(patches.merged->sizes, direct.merged->sizes));
}

TEST_CASE("pictures of several batches join, and come apart again") {
  const LayerMerging how{0.5};
  const PictureFeatures all = merged(clip(), how);
  std::vector<PictureFeatures> parts{narrowed(all, 0, 1), narrowed(all, 1, 1)};
  CHECK(parts[1].merged->sizes.size(0) == 1);
  const PictureFeatures again = joined(parts);
  CHECK(at::equal(again.features, all.features));
  CHECK(at::equal(again.merged->row_of, all.merged->row_of));
  CHECK(again.merged->milliseconds == Approx(all.merged->milliseconds));
}

TEST_CASE("features of several layers cannot merge, nor those that need their grid") {
  const auto two = encoder("CLIPVisionModel", R"("vision_feature_layer": [-2, -1],)");
  CHECK_THROWS_WITH(merged(two, {0.5}), Catch::Contains("features of one layer, got those of 2"));
  CHECK_NOTHROW(two->encode(pixels()));
}

TEST_CASE("encoders tell what they attend to as the reference does, and change nothing else") {
  const std::string name = GENERATE("clip", "siglip");
  const auto golden = open_safetensors(data("tests/data/vision/saliency.safetensors"));
  const ImageEncoderPtr eyes = name == "clip" ? clip() : encoder("SiglipVisionModel");
  LayerMerging how;
  how.tell_saliency = true;
  const PictureFeatures told = merged(eyes, how), plain = eyes->encode(pixels());
  CHECK_THAT(told.saliency, CloseTo(std::get<at::Tensor>(golden->get(name)), 1e-3, 1e-6));
  CHECK(at::equal(told.features, plain.features));
  CHECK_FALSE(plain.saliency.defined());
  // Squares have the mean of theirs, single pictures their own.
  const PictureFeatures squares = squares_of(told, 2);
  CHECK_THAT(squares.saliency,
             CloseTo(at::avg_pool2d(told.saliency.view({2, 1, 8, 8}), 2).flatten(1)));
  CHECK(at::equal(narrowed(told, 1, 1).saliency, told.saliency.slice(0, 1)));
  CHECK(at::equal(joined({narrowed(told, 0, 1), narrowed(told, 1, 1)}).saliency, told.saliency));
}

}  // namespace
}  // namespace lv::vision
