#include <ATen/ATen.h>

#include "tests/vision/compressors/small_clips.h"

namespace lv::vision {
namespace {

using Catch::Matchers::Contains;

ClipTokens grid_clip(const at::Tensor& film, int32_t columns) {
  ClipTokens clip = film_clip(film);
  std::ranges::fill(clip.visual.grids,
                    PatchGrid{static_cast<int32_t>(film.size(1)) / columns, columns});
  return clip;
}

TEST_CASE("sttm leaves what the published code does") {
  for (const PublishedCase& c : published_cases("sttm")) {
    INFO(c.golden.dump());
    REQUIRE(c.left.features.size(0) == c.rows.size(0));
    CHECK_THAT(c.left.features.slice(1, 0, 2),
               CloseTo(c.rows.slice(1, 1).to(at::kFloat), 1e-4, 2e-6));
    const at::Tensor frame =
        c.rows.select(1, 0).to(at::kLong).floor_divide(c.golden.at("tokens").as_int());
    CHECK(at::equal(c.left.offsets.diff().to(at::kLong),
                    at::bincount(frame, {}, c.golden.at("frames").as_int())));
    CHECK(c.left.sizes.sum().item<float>() == static_cast<float>(c.clip.visual.features.size(0)));
  }
}

TEST_CASE("sttm: a flat square is one row, and one with what it was a frame ago") {
  // Two frames of 4 x 4: the left half is flat, the right half is not; the lower half turns.
  at::Tensor film = lcg_tensor(3, {1, 16, 6}).repeat({2, 1, 1});
  film.view({2, 4, 4, 6}).slice(2, 0, 2).copy_(lcg_tensor(4, {6}));
  film.view({2, 4, 4, 6})[1].slice(0, 2).mul_(-1);
  const VisualTokens left = reduced("sttm", "spatial=0.99,temporal=0.99", grid_clip(film, 4));
  // Above, one square and four cells, each of both frames; below, the same of each frame.
  REQUIRE(left.features.size(0) == 15);
  CHECK(at::equal(left.sizes, at::tensor({8.f, 2.f, 2.f, 2.f, 2.f,  //
                                          4.f, 1.f, 1.f, 1.f, 1.f, 4.f, 1.f, 1.f, 1.f, 1.f})));
  CHECK_THAT(left.features[0], CloseTo(film[0][0]));
  CHECK(at::equal(left.offsets, at::tensor({0, 10, 15}, at::kInt)));
}

TEST_CASE(
    "sttm: two parts that are each like a larger square of the next frame become one with it") {
  // Neither part is like the other; the next frame is their mean all over.
  const at::Tensor a = at::tensor({1.f, 0.5f}), b = at::tensor({0.5f, 1.f});
  at::Tensor film = at::zeros({2, 4, 2});
  film[0].copy_(at::stack({a, a, b, b}));
  film[1].copy_((a + b) / 2);
  const VisualTokens left = reduced("sttm", "spatial=0.97,temporal=0.9", grid_clip(film, 2));
  REQUIRE(left.features.size(0) == 1);
  CHECK_THAT(left.features[0], CloseTo((a + b) / 2));
}

TEST_CASE("sttm: no more is left than asked for, and nearly that") {
  const auto seed = GENERATE(range(80u, 90u));
  const auto keep = GENERATE(0.02, 0.1, 0.3, 0.7);
  const ClipTokens clip = grid_clip(film_of(seed, 6, 35, 6, 0.3), 7);
  const VisualTokens left = reduced("sttm", "keep=" + std::to_string(keep), clip);
  const auto most = std::max<int64_t>(1, static_cast<int64_t>(35 * keep)) * 6;
  CHECK(left.features.size(0) <= most);
  if (keep > 0.05) CHECK(left.features.size(0) >= most / 2);  // few rows come in leaps
  CHECK(left.sizes.sum().item<float>() == 210);
}

TEST_CASE("sttm: what it cannot do is said in one clear line") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"spatial=2", "sttm.spatial, sttm.temporal: expected -1 to 1"},
      {"keep=0.5,spatial=0.8", "sttm.spatial: expected none beside keep or tokens"},
      {"root=0", "sttm.root: expected at least 1"},
      {"over=clip", "sttm.over"},
  }));
  CHECK_THROWS_WITH(compressors().make("sttm", Params::parse(text)), Contains(message));
  ClipTokens clip = grid_clip(lcg_tensor(13, {2, 9, 4}), 3);
  std::ranges::fill(clip.visual.grids, PatchGrid{});
  CHECK_THROWS_WITH(reduced("sttm", "keep=0.5", clip), Contains("sttm: expected one token a cell"));
}

}  // namespace
}  // namespace lv::vision
