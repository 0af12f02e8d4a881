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
