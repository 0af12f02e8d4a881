#include <ATen/ATen.h>

#include "tests/vision/compressors/small_clips.h"

namespace lv::vision {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("prumerge leaves what the published code does") {
  for (const PublishedCase& c : published_cases("prumerge")) {
    INFO(c.golden.dump());
    REQUIRE(c.left.features.size(0) == c.rows.size(0));
    // Theirs come without places, by their first feature.
    const at::Tensor order = c.left.features.select(1, 0).argsort();
    CHECK_THAT(c.left.features.index_select(0, order).slice(1, 0, 2),
               CloseTo(c.rows.to(at::kFloat), 1e-4, 2e-5));
    CHECK(c.left.sizes.sum().item<float>() == static_cast<float>(c.clip.visual.features.size(0)));
  }
}

TEST_CASE("prumerge: a kept token takes from those likest to it, the last row is all that went") {
  ClipTokens clip = clip_of(at::tensor({1.f, 0.f, 3.f, 0.f, 0.f, 2.f, 0.f, 4.f}).view({4, 2}), {4});
  clip.visual.saliency = at::tensor({0.1f, 0.5f, 0.4f, 0.2f});
  const VisualTokens left = reduced("prumerge", "tokens=3,neighbours=1", clip);
  // Tokens 1 and 2 stay: [3, 0] is like [1, 0], [0, 2] is like [0, 4].
  CHECK_THAT(left.features, CloseTo(at::tensor({3.1f, 0.f, 0.f, 2.8f, 0.1f, 0.8f}).view({3, 2})));
  CHECK(at::equal(left.sizes, at::tensor({1.f, 1.f, 2.f})));
  CHECK(at::equal(left.origin.flags, at::tensor({1, 1, kObserved | kMerged}, at::kByte)));
}

TEST_CASE("prumerge: attention that stands out nowhere leaves one row") {
  ClipTokens clip = clip_of(lcg_tensor(5, {9, 4}), {9});
  clip.visual.saliency = at::full({9}, 1 / 9.f);
  const auto select = GENERATE("select=outliers", "select=spread");
  const VisualTokens left = reduced("prumerge", select, clip);
  REQUIRE(left.features.size(0) == 1);
  CHECK_THAT(left.features[0], CloseTo(clip.visual.features.mean(0), 1e-5, 1e-6));
}

TEST_CASE("prumerge: what it cannot do is said in one clear line") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"select=best", "prumerge.select: expected top, outliers or spread, got best"},
      {"keep=0.5,select=spread", "prumerge.select: expected top beside keep or tokens"},
      {"neighbours=-1", "prumerge.neighbours: expected 0 or more"},
      {"over=clip", "prumerge.over"},
  }));
  CHECK_THROWS_WITH(compressors().make("prumerge", Params::parse(text)), Contains(message));
  const ClipTokens clip = clip_of(lcg_tensor(13, {9, 4}), {9});
  CHECK_THROWS_WITH(reduced("prumerge", "keep=0.5", clip),
                    "prumerge: expected tokens of an encoder that tells what it attends to");
  CHECK_NOTHROW(reduced("prumerge", "keep=1", clip));
}

}  // namespace
}  // namespace lv::vision
