#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "vision/connectors/connector.h"

namespace lv::vision {
namespace {

constexpr int64_t kCells = 1408, kClasses = 5, kWidth = 8;
const PatchGrid kGrid{2, 3};

// tests/data/vision/make_nano.py makes it, of the same numbers.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/vision/nano.safetensors"))->get(name));
}

/// Features are the cells and the classes' logits, which the head hands on.
ConnectorPtr connector() {
  NamedTensors tensors{{"columns", at::empty({14, kWidth})},
                       {"gain", at::empty({kWidth})},
                       {"named.weight", at::empty({kWidth, kWidth})},
                       {"narrow.bias", at::empty({kWidth})},
                       {"narrow.weight", at::empty({kWidth, 1152})},
                       {"norm.bias", at::empty({2 * kCells})},
                       {"norm.weight", at::empty({2 * kCells})},
                       {"rows", at::empty({14, kWidth})},
                       {"time.weight", at::empty({kWidth, 16})},
                       {"views", at::empty({7, kWidth})},
                       {"wide.bias", at::empty({1152})},
                       {"wide.weight", at::empty({1152, 2 * kCells})}};
  uint32_t seed = 100;
  for (auto& [name, tensor] : tensors) {
    const at::Tensor numbers = lcg_tensor(++seed, tensor.sizes());
    tensor = name == "norm.weight" ? 1 + 0.2 * numbers : 0.1 * numbers;
  }
  tensors["words"] = lcg_tensor(1, {kClasses, kWidth});
  tensors["head.weight"] = at::eye(kClasses);
  tensors["head.bias"] = at::zeros({kClasses});
  const std::string config =
      R"({"architectures": ["NanoForConditionalGeneration"], "views": ["front", "front left",
          "front right", "rear", "rear left", "rear right", "page"]})";
  return make_connector_parts(checkpoint_of(config, std::move(tensors)), kCells + kClasses)
      .connector;
}

/// Three pictures.
PictureFeatures pictures() {
  return {at::cat({lcg_tensor(2, {3, 6, kCells}), 4 * lcg_tensor(3, {3, 6, kClasses})}, 2), kGrid};
}

PictureFeatures some(int64_t first, int64_t count) { return narrowed(pictures(), first, count); }

at::Tensor at_seconds(std::vector<double> seconds) { return at::tensor(seconds, at::kDouble); }

TEST_CASE("nano's connector equals the recipe's, on a film and on a page") {
  const PictureFeatures film =
      connector()->connect_film(pictures(), {at_seconds({0, 0.5, 1.25}), {}, "rear left"});
  CHECK(film.grid.columns == 3);
  CHECK_THAT(film.features.flatten(0, 1), CloseTo(golden("film"), 1e-4, 1e-5));
  const PictureFeatures page = connector()->connect_film(some(0, 1), {{}, {}, "page"});
  CHECK_THAT(page.features.flatten(0, 1), CloseTo(golden("page"), 1e-4, 1e-5));
}

TEST_CASE("nano's connector sees what changed, however a film comes in pieces") {
  const at::Tensor first =
      connector()->connect_film(some(0, 2), {at_seconds({0, 0.5}), {}, "rear left"}).features;
  const at::Tensor rest =
      connector()
          ->connect_film(some(2, 1), {at_seconds({1.25}), pictures().features[1], "rear left"})
          .features;
  CHECK_THAT(at::cat({first, rest}).flatten(0, 1), CloseTo(golden("film"), 1e-4, 1e-5));
}

TEST_CASE("nano's stills change nothing from one to the next, and are in front") {
  const at::Tensor all = connector()->connect(pictures()).features;
  const at::Tensor one = connector()->connect_film(some(1, 1), {{}, {}, "front"}).features;
  CHECK_THAT(all.slice(0, 1, 2), CloseTo(one));
}

TEST_CASE("nano's connector says which views and how many places there are") {
  CHECK_THROWS_MATCHES(connector()->connect_film(pictures(), {{}, {}, "above"}), Error,
                       IsError(ErrorCode::kInvalidArgument, "view 'above': expected one of front"));
  CHECK_THROWS_MATCHES(
      connector()->connect({at::zeros({1, 15, kCells + kClasses}), {15, 1}}), Error,
      IsError(ErrorCode::kInvalidArgument, "expected at most [14, 14] places, got [15, 1]"));
}

}  // namespace
}  // namespace lv::vision
