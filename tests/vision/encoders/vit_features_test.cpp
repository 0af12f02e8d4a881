#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/memory_store.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

constexpr int64_t kWidth = 6;

/// A transformer of two layers over pictures of 8 x 8 pixels in patches of 2.
NamedTensors weights(int64_t positions) {
  uint32_t seed = 1;
  NamedTensors all;
  const auto add = [&](const std::string& name, std::initializer_list<int64_t> shape) {
    all.emplace(name, lcg_tensor(seed++, shape) * 0.3);
  };
  const auto add_layer = [&](const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  add("embeddings.patch_embedding.weight", {kWidth, 3, 2, 2});
  add("embeddings.position_embedding.weight", {positions, kWidth});
  add("post_layernorm.weight", {kWidth});
  add("post_layernorm.bias", {kWidth});
  for (const char* layer : {"encoder.layers.0.", "encoder.layers.1."}) {
    const std::string at = layer;
    for (const char* norm : {"layer_norm1", "layer_norm2"}) {
      add(at + norm + ".weight", {kWidth});
      add(at + norm + ".bias", {kWidth});
    }
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      add_layer(at + "self_attn." + part, kWidth, kWidth);
    }
    add_layer(at + "mlp.fc1", 8, kWidth);
    add_layer(at + "mlp.fc2", kWidth, 8);
  }
  return all;
}

ImageEncoderPtr encoder(const std::string& architecture, const std::string& keys = "") {
  const bool clip = architecture == "CLIPVisionModel";
  NamedTensors all = weights(clip ? 17 : 16);
  if (clip) {
    all.emplace("embeddings.class_embedding", lcg_tensor(90, {kWidth}));
    all.emplace("pre_layrnorm.weight", at::ones({kWidth}));
    all.emplace("pre_layrnorm.bias", at::zeros({kWidth}));
  }
  return make_image_encoder(checkpoint_of(
      R"({"hidden_size": 6, "num_attention_heads": 2, "intermediate_size": 8, "image_size": 8,
          "num_hidden_layers": 2, "patch_size": 2, "hidden_act": "gelu", )" +
          keys + R"( "architectures": [")" + architecture + R"("]})",
      std::move(all)));
}

at::Tensor pixels() { return lcg_tensor(99, {2, 3, 8, 8}); }

TEST_CASE("CLIP gives the layers that the language model reads, with or without the class token") {
  const PictureFeatures usual = encoder("CLIPVisionModel")->encode(pixels());
  CHECK(usual.features.sizes() == at::IntArrayRef({2, 16, kWidth}));
  CHECK(usual.whole == 0);
  const auto full = encoder("CLIPVisionModel", R"("vision_feature_select_strategy": "full",)");
  const PictureFeatures all = full->encode(pixels());
  CHECK(all.whole == 1);
  CHECK(at::equal(all.features.slice(1, 1), usual.features));
  const auto both = encoder("CLIPVisionModel", R"("vision_feature_layer": [-2, 2],)");
  CHECK(both->width() == 2 * kWidth);
  CHECK(at::equal(both->encode(pixels()).features.slice(2, 0, kWidth), usual.features));
  CHECK_THROWS_WITH(encoder("CLIPVisionModel", R"("vision_feature_layer": -4,)"),
                    Catch::Contains("vision_feature_layer"));
  CHECK_THROWS_WITH(encoder("CLIPVisionModel", R"("vision_feature_select_strategy": "some",)"),
                    Catch::Contains("vision_feature_select_strategy"));
}

TEST_CASE("SigLIP norms its features unless a language model reads a layer's") {
  const PictureFeatures normed = encoder("SiglipVisionModel")->encode(pixels());
  const auto last = encoder("SiglipVisionModel", R"("vision_feature_layer": -1,)");
  const NamedTensors all = weights(16);
  CHECK_THAT(at::layer_norm(last->encode(pixels()).features, {kWidth},
                            all.at("post_layernorm.weight"), all.at("post_layernorm.bias")),
             CloseTo(normed.features));
  CHECK_THROWS_WITH(encoder("SiglipVisionModel", R"("vision_feature_select_strategy": "default",)"),
                    Catch::Contains("class token"));
}

TEST_CASE("Idefics3's encoder is SigLIP's for pictures of its own size") {
  const auto idefics = encoder("Idefics3VisionTransformer");
  CHECK(at::equal(idefics->encode(pixels()).features,
                  encoder("SiglipVisionModel")->encode(pixels()).features));
  CHECK_THROWS_WITH(idefics->encode(at::zeros({1, 3, 1, 8})), Catch::Contains("patch"));
}

}  // namespace
}  // namespace lv::vision
