#include <ATen/ATen.h>

#include "tests/vision/compressors/small_clips.h"

namespace lv::vision {
namespace {

TEST_CASE("dycoke leaves the tokens that the published code does") {
  for (const PublishedCase& c : published_cases("dycoke")) {
    INFO(c.golden.dump());
    REQUIRE(c.left.features.size(0) == c.rows.size(0));
    const at::Tensor first = c.left.features.select(1, 0);
    CHECK_THAT(std::get<0>(first.sort()), CloseTo(c.rows.select(1, 0).to(at::kFloat), 1e-4, 2e-6));
    CHECK(c.left.sizes.sum().item<float>() == static_cast<float>(c.clip.visual.features.size(0)));
  }
}

TEST_CASE("dycoke: of 32 frames of 196 tokens 3098 are left") {
  const VisualTokens left =
      reduced("dycoke", "keep=0.3", film_clip(lcg_tensor(3, {1, 196, 2}).expand({32, 196, 2})));
  CHECK(left.features.size(0) == 9 * 196 + 23 * 58);
}

TEST_CASE("dycoke: a token that goes is counted where its place was last kept") {
  const at::Tensor whole = lcg_tensor(5, {2, 4}), one = lcg_tensor(6, {6, 1, 4});
  // The second place changes in every frame, the first never.
  const at::Tensor film = at::cat({whole.slice(0, 0, 1).expand({6, 1, 4}), one}, 1);
  const VisualTokens left = reduced("dycoke", "tokens=1", film_clip(film));
  // Frames 0 and 4 are whole, 1 and 2 hang on 0, 3 on 2 and so on 0, 5 on 4.
  CHECK(at::equal(left.offsets, at::tensor({0, 2, 3, 4, 5, 7, 8}, at::kInt)));
  CHECK(at::equal(left.sizes, at::tensor({4.f, 1.f, 1.f, 1.f, 1.f, 2.f, 1.f, 1.f})));
  CHECK(at::equal(left.origin.flags, at::full({8}, kObserved, at::kByte)));
}

TEST_CASE("dycoke: stills and an odd last frame stay whole") {
  CHECK(reduced("dycoke", "keep=0.3", film_clip(lcg_tensor(3, {1, 9, 2}))).features.size(0) == 9);
  CHECK(reduced("dycoke", "tokens=3", film_clip(lcg_tensor(3, {3, 9, 2}))).features.size(0) == 21);
}

}  // namespace
}  // namespace lv::vision
