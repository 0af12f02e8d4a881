#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/vision/compressors/small_clips.h"
#include "vision/compressors/diverse_rows.h"
#include "vision/compressors/dpc_knn.h"
#include "vision/compressors/film_parts.h"

namespace lv::vision {
namespace {

using Catch::Matchers::Contains;

at::Tensor longs(std::initializer_list<int64_t> values) {
  return at::tensor(std::vector<int64_t>(values), at::kLong);
}

TEST_CASE("diverse rows: the golden picks, with attention and without") {
  const at::Tensor features = lcg_tensor(2, {1, 8, 4});
  const at::Tensor attention = (lcg_tensor(3, {1, 8}) + 1) / 2;
  CHECK(at::equal(diverse_rows(features, attention, 3)[0], longs({1, 2, 3})));
  CHECK(at::equal(diverse_rows(features, {}, 3)[0], longs({0, 4, 5})));
  CHECK(at::equal(diverse_rows(features, attention, 8)[0], at::arange(8)));
  // Alone or beside other frames.
  const at::Tensor two = at::cat({lcg_tensor(9, {1, 8, 4}), features});
  CHECK(at::equal(diverse_rows(two, {}, 3)[1], longs({0, 4, 5})));
}

TEST_CASE("diverse rows: twins are picked once, zeros are like nothing") {
  const at::Tensor twins = at::tensor({1.f, 0.f, 1.f, 0.f, 0.f, 1.f, 0.f, 0.f}).view({1, 4, 2});
  CHECK(at::equal(diverse_rows(twins, {}, 3)[0], longs({0, 2, 3})));
}

TEST_CASE("density peaks: the golden clusters") {
  const Clusters found = dpc_knn(lcg_tensor(4, {8, 4}), 3, 3);
  CHECK(at::equal(found.centres, longs({2, 5, 6})));
  CHECK(at::equal(found.cluster_of, longs({0, 1, 0, 0, 0, 1, 2, 0})));
}

TEST_CASE("density peaks: each row by itself, all together, and rows that are the same") {
  const at::Tensor features = lcg_tensor(5, {6, 3});
  CHECK(at::equal(dpc_knn(features, 6, 6).cluster_of, at::arange(6)));
  CHECK(at::equal(dpc_knn(features, 1, 1).cluster_of, at::zeros({6}, at::kLong)));
  CHECK(at::equal(dpc_knn(at::ones({5, 2}), 2, 2).centres, longs({0, 1})));
}

TEST_CASE("segments: the golden cuts") {
  const at::Tensor frames =
      at::tensor({1.f, 0.f, 1.f, .1f, 1.f, .15f, 0.f, 1.f, 0.f, 1.1f, .1f, 1.f, 1.f, 1.f, 1.f, .9f})
          .view({8, 2});
  const auto lengths = [&](int64_t least) {
    std::vector<int64_t> all;
    for (const FrameRange& s : segments_of(frames, 0.9, least)) all.push_back(s.last - s.first);
    return all;
  };
  CHECK(lengths(3) == std::vector<int64_t>{3, 3, 2});
  CHECK(lengths(5) == std::vector<int64_t>{1, 2, 2, 1, 2});
  CHECK(lengths(99) == std::vector<int64_t>(8, 1));
  CHECK(segments_of(frames.slice(0, 0, 1), 0.9, 8).size() == 1);
}

TEST_CASE("flashvid leaves what the published code does") {
  for (const PublishedCase& c : published_cases("flashvid")) {
    INFO(c.golden.dump());
    REQUIRE(c.left.features.size(0) == c.rows.size(0));
    CHECK_THAT(c.left.features.slice(1, 0, 2),
               CloseTo(c.rows.slice(1, 1).to(at::kFloat), 1e-4, 2e-6));
    CHECK(c.left.sizes.sum().item<float>() == static_cast<float>(c.clip.visual.features.size(0)));
  }
}

TEST_CASE("flashvid: four frames of one picture are that picture, by its own means") {
  const at::Tensor picture = lcg_tensor(6, {1, 8, 5});
  const ClipTokens clip = film_clip(picture.expand({4, 8, 5}));
  const VisualTokens left = reduced("flashvid", "keep=0.25,min_segments=1,alpha=0", clip);
  CHECK(left.features.size(0) == 8);
  CHECK_THAT(left.features, CloseTo(picture[0]));
  CHECK(at::equal(left.sizes, at::full({8}, 4.f)));
  CHECK(at::equal(left.offsets, at::tensor({0, 8, 8, 8, 8}, at::kInt)));
  CHECK(at::equal(left.origin.pts_seconds, at::full({8}, 0.75, at::kDouble)));
  // Theirs counts a tree's own children alone.
  const VisualTokens theirs =
      reduced("flashvid", "keep=0.25,min_segments=1,alpha=0,tree_average=reference", clip);
  CHECK_THAT(theirs.features, CloseTo(2 * picture[0]));
}

TEST_CASE("flashvid: a third of each frame of 196 tokens, as it is reckoned") {
  const ClipTokens clip = film_clip(lcg_tensor(7, {3, 196, 4}));
  const VisualTokens left = reduced("flashvid", "keep=0.10,expansion=1.25,min_segments=3", clip);
  CHECK(at::equal(left.offsets, at::tensor({0, 25, 50, 75}, at::kInt)));  // 18 picked, 7 merged
}

TEST_CASE("flashvid: selections that need attention say so") {
  const ClipTokens clip = film_clip(lcg_tensor(7, {2, 9, 4}));
  CHECK_THROWS_WITH(reduced("flashvid", "keep=0.5,select=attention", clip),
                    Contains("flashvid.select: expected diversity"));
  CHECK(at::equal(reduced("flashvid", "keep=0.5", clip).features,
                  reduced("flashvid", "keep=0.5,select=diversity", clip).features));
}

TEST_CASE("flashvid: the second form of its selection looks at what frames have in common") {
  ClipTokens clip = film_clip(film_of(61, 4, 16, 6, 0.3));
  clip.visual.saliency = at::ones({64});
  const VisualTokens left = reduced("flashvid", "keep=0.25,select=adts_v2,alpha=1", clip);
  CHECK(at::equal(left.offsets, at::tensor({0, 4, 8, 12, 16}, at::kInt)));
}

TEST_CASE("flashvid: options out of range are refused by name") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"alpha=1.5", "flashvid.alpha"},
      {"expansion=0.5", "flashvid.expansion"},
      {"min_segments=0", "flashvid.min_segments"},
      {"temporal_threshold=2", "flashvid.temporal_threshold"},
      {"select=best", "flashvid.select"},
      {"tree_average=2", "flashvid.tree_average"},
      {"over=clip", "flashvid.over"},
  }));
  CHECK_THROWS_WITH(compressors().make("flashvid", Params::parse(text)), Contains(message));
}

}  // namespace
}  // namespace lv::vision
