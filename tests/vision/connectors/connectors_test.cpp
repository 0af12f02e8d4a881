#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/memory_store.h"
#include "vision/connectors/connector.h"

namespace lv::vision {
namespace {

/// A pixel shuffle of squares of two whose projection changes nothing.
ConnectorPtr shuffle(int64_t width) {
  return make_connector_parts(
             checkpoint_of(
                 R"({"architectures": ["SmolVLMForConditionalGeneration"], "scale_factor": 2})",
                 {{"modality_projection.proj.weight", at::eye(4 * width)}}),
             width)
      .connector;
}

TEST_CASE("the pixel shuffle puts squares of places side by side") {
  const PictureFeatures out =
      shuffle(1)->connect({at::arange(16, at::kFloat).view({1, 16, 1}), {4, 4}});
  CHECK(out.grid.rows == 2);
  CHECK(out.grid.columns == 2);
  CHECK(at::equal(out.features[0], at::tensor({0.f, 1.f, 4.f, 5.f, 2.f, 3.f, 6.f, 7.f, 8.f, 9.f,
                                               12.f, 13.f, 10.f, 11.f, 14.f, 15.f})
                                       .view({4, 4})));
}

TEST_CASE("the pixel shuffle takes grids that are no squares, by their sides") {
  const at::Tensor features = lcg_tensor(1, {2, 24, 3});  // 4 rows of 6
  const PictureFeatures out = shuffle(3)->connect({features, {4, 6}});
  CHECK(out.features.sizes() == at::IntArrayRef({2, 6, 12}));
  CHECK(out.grid.columns == 3);
  // The last square's last place is the grid's last.
  CHECK(at::equal(out.features[1][5].slice(0, 9), features[1][23]));
  CHECK(at::equal(out.features[0][1].slice(0, 0, 3), features[0][2]));
  CHECK_THROWS_AS(shuffle(3)->connect({features, {3, 8}}), Error);
  CHECK_THROWS_AS(shuffle(3)->connect({features, {2, 6}}), Error);
  CHECK_THROWS_AS(shuffle(3)->connect({lcg_tensor(1, {1, 5, 3}), {2, 2}, 1}), Error);
}

TEST_CASE("the projector's layers see each place by itself, a class token too") {
  const at::Tensor first = lcg_tensor(1, {5, 3}), second = lcg_tensor(2, {5, 5}),
                   bias = lcg_tensor(3, {5});
  const ConnectorPtr connector =
      make_connector_parts(checkpoint_of(R"({"architectures": ["LlavaForConditionalGeneration"]})",
                                         {{"linear_1.weight", first},
                                          {"linear_1.bias", bias},
                                          {"linear_2.weight", second},
                                          {"linear_2.bias", -bias}}),
                           3)
          .connector;
  const at::Tensor features = lcg_tensor(4, {2, 7, 3});
  const PictureFeatures out = connector->connect({features, {2, 3}, 1});
  CHECK(out.grid.columns == 3);
  CHECK(out.whole == 1);
  const at::Tensor expected =
      at::matmul(at::gelu(at::matmul(features, first.t()) + bias), second.t()) - bias;
  CHECK_THAT(out.features, CloseTo(expected, 1e-5, 1e-6));
}

TEST_CASE("the projector reads squares where its first layer is four times as wide") {
  const at::Tensor second = lcg_tensor(2, {5, 5});
  const NamedTensors weights = {{"linear_1.weight", lcg_tensor(1, {5, 12})},
                                {"linear_1.bias", lcg_tensor(3, {5})},
                                {"linear_2.weight", second}};
  const ConnectorParts parts = make_connector_parts(
      checkpoint_of(R"({"architectures": ["LeopardLlavaForConditionalGeneration"]})", weights), 3);
  CHECK(parts.connector->needs_grid());
  const at::Tensor features = lcg_tensor(4, {2, 24, 3});
  const PictureFeatures out = parts.connector->connect({features, {4, 6}});
  CHECK(out.grid.rows == 2);
  CHECK(out.grid.columns == 3);
  const at::Tensor square = at::cat({features[1][2], features[1][3], features[1][8],
                                     features[1][9]});  // the second of the first row
  const at::Tensor expected =
      at::matmul(second, at::gelu(at::matmul(lcg_tensor(1, {5, 12}), square) + lcg_tensor(3, {5})));
  CHECK_THAT(out.features[1][1], CloseTo(expected, 1e-5, 1e-6));
  CHECK_THROWS_AS(parts.connector->connect({features, {3, 8}}), Error);
}

TEST_CASE("LEOPARD's tiles stand behind the whole picture, or before it") {
  const auto arranged = [](const std::string& keys) {
    const NamedTensors weights = {{"linear_1.weight", at::ones({2, 4})},
                                  {"linear_2.weight", at::ones({2, 2})}};
    const ArrangerPtr arranger =
        make_connector_parts(
            checkpoint_of(
                R"({"architectures": ["LeopardLlavaForConditionalGeneration"])" + keys + "}",
                weights),
            1)
            .arranger;
    // Two tiles of one place each, then the whole.
    return arranger->still({at::arange(3, at::kFloat).view({3, 1, 1}), {1, 1}},
                           {10, 20, {1, 2}, lcg_tensor(1, {3, 4}).abs().cumsum(1) / 8});
  };
  const ArrangedPicture first = arranged(""), last = arranged(R"(, "tile_order": "tiles_first")");
  CHECK(at::equal(first.features.flatten(), at::tensor({2.f, 0.f, 1.f})));
  CHECK(at::equal(last.features.flatten(), at::tensor({0.f, 1.f, 2.f})));
  CHECK(at::equal(first.tile, at::tensor({0, 0, 1, 1, 1, 2}, at::kInt).view({3, 2})));
  CHECK(at::equal(first.boxes.roll(-1, 0), last.boxes));
  CHECK(first.counts == std::vector<int64_t>{1, 1, 1});
  CHECK_THROWS_WITH(arranged(R"(, "tile_order": "random")"), Catch::Contains("tile_order"));
}

TEST_CASE("the perceiver's tokens stand for all of a picture, of whatever size") {
  NamedTensors weights;
  int seed = 1;
  const auto add = [&](const std::string& name, at::IntArrayRef shape) {
    weights.emplace(name, lcg_tensor(seed++, shape));
  };
  for (const std::string part : {"modality_projection.", "perceiver_resampler.layers.0.mlp."}) {
    const int64_t in = part.front() == 'm' ? 3 : 8;
    add(part + "gate_proj.weight", {6, in});
    add(part + "up_proj.weight", {6, in});
    add(part + "down_proj.weight", {8, 6});
  }
  add("perceiver_resampler.latents", {2, 8});
  const std::string layer = "perceiver_resampler.layers.0.";
  for (const char* norm :
       {"input_latents_norm", "input_context_norm", "post_attention_layernorm"}) {
    add(layer + norm + ".weight", {8});
  }
  add("perceiver_resampler.norm.weight", {8});
  add(layer + "self_attn.q_proj.weight", {8, 8});
  add(layer + "self_attn.k_proj.weight", {4, 8});
  add(layer + "self_attn.v_proj.weight", {4, 8});
  add(layer + "self_attn.o_proj.weight", {8, 8});
  const std::string config = R"({"architectures": ["Idefics2ForConditionalGeneration"],
      "text_config": {"rms_norm_eps": 1e-5},
      "perceiver_config": {"resampler_depth": 1, "resampler_n_heads": 2, "resampler_head_dim": 4,
                           "num_key_value_heads": 1}})";
  const ConnectorPtr connector = make_connector_parts(checkpoint_of(config, weights), 3).connector;
  const at::Tensor features = lcg_tensor(90, {2, 12, 3});
  const PictureFeatures out = connector->connect({features, {3, 4}});
  CHECK(out.features.sizes() == at::IntArrayRef({2, 2, 8}));
  CHECK(out.whole == 2);
  CHECK(out.grid.rows == 0);
  // Places have no order.
  const PictureFeatures turned = connector->connect({features.flip(1), {4, 3}});
  CHECK_THAT(turned.features, CloseTo(out.features, 1e-4, 1e-5));
  CHECK(connector->connect({features.slice(1, 0, 5), {1, 5}}).features.size(1) == 2);
  std::string wrong = config;
  wrong.replace(wrong.find("\"num_key_value_heads\": 1"), 24, "\"num_key_value_heads\": 3");
  CHECK_THROWS_WITH(make_connector_parts(checkpoint_of(wrong, weights), 3),
                    Catch::Contains("num_key_value_heads"));
}

TEST_CASE("connectors refuse weights that do not fit or are left over") {
  const char* const config = R"({"architectures": ["LlavaForConditionalGeneration"]})";
  const NamedTensors good = {{"linear_1.weight", at::ones({5, 3})},
                             {"linear_2.weight", at::ones({5, 5})}};
  CHECK_NOTHROW(make_connector_parts(checkpoint_of(config, good), 3));
  CHECK_THROWS_WITH(make_connector_parts(checkpoint_of(config, good), 4),
                    Catch::Contains("linear_1.weight"));
  NamedTensors more = good;
  more.emplace("image_newline", at::ones({5}));
  CHECK_THROWS_WITH(make_connector_parts(checkpoint_of(config, more), 3),
                    Catch::Contains("image_newline"));
  CHECK_THROWS_WITH(
      make_connector_parts(checkpoint_of(R"({"architectures": ["LlamaForCausalLM"]})", good), 3),
      Catch::Contains("LlavaForConditionalGeneration"));
}

}  // namespace
}  // namespace lv::vision
