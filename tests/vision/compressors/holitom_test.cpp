#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/vision/compressors/small_clips.h"
#include "vision/compressors/film_parts.h"

namespace lv::vision {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("still windows: the golden ones") {
  const at::Tensor cosine =
      at::tensor({.9, .9, .2, .9, .9, .9, .9, .1, .1, .2, .9, .3, .9, .9, .9, .9}).view({4, 4});
  const StillWindows found = still_windows(cosine > 0.8, 1024);
  CHECK(found.saved == 8);
  REQUIRE(found.windows.size() == 2);
  CHECK(found.windows[0].last == 3);
  CHECK(found.windows[1].first == 3);
  CHECK(found.windows[1].last == 5);
}

/// The most that any cut into windows saves, by trying all.
int64_t most_saved(const at::Tensor& alike, int64_t longest) {
  const int64_t frames = alike.size(0) + 1;
  int64_t best = 0;
  for (int64_t cuts = 0; cuts < 1 << (frames - 1); ++cuts) {
    int64_t saved = 0, first = 0;
    bool allowed = true;
    for (int64_t f = 0; f < frames; ++f) {
      if (f + 1 < frames && (cuts >> f & 1) == 0) continue;
      allowed = allowed && f - first < longest;
      if (f > first) saved += alike.slice(0, first, f).all(0).sum().item<int64_t>() * (f - first);
      first = f + 1;
    }
    if (allowed) best = std::max(best, saved);
  }
  return best;
}

TEST_CASE("still windows save the most of all cuts, and hold every frame once") {
  const auto seed = GENERATE(range(1u, 20u));
  const int64_t longest = GENERATE(2, 3, 99);
  const at::Tensor alike = lcg_tensor(seed, {7, 3}) > -0.4;
  const StillWindows found = still_windows(alike, longest);
  CHECK(found.saved == most_saved(alike, longest));
  int64_t next = 0;
  for (const auto& [first, last] : found.windows) {
    CHECK(first == next);
    CHECK(last - first <= longest);
    next = last;
  }
  CHECK(next == 8);
}

TEST_CASE("holitom leaves what the published code does") {
  for (const PublishedCase& c : published_cases("holitom")) {
    INFO(c.golden.dump());
    REQUIRE(c.left.features.size(0) == c.rows.size(0));
    CHECK_THAT(c.left.features.slice(1, 0, 2), CloseTo(c.rows.to(at::kFloat), 1e-4, 2e-6));
    CHECK(c.left.sizes.sum().item<float>() == static_cast<float>(c.clip.visual.features.size(0)));
  }
}

TEST_CASE("holitom: what holds still stands for all frames of its window, what moves for itself") {
  at::Tensor film = lcg_tensor(8, {1, 10, 6}).repeat({4, 1, 1});
  film.slice(1, 0, 2).copy_(lcg_tensor(9, {4, 2, 6}));  // two places move
  ClipTokens clip = film_clip(film);
  clip.visual.saliency = saliency_of(8, 4, 10);
  const VisualTokens left = reduced("holitom", "keep=0.4,tau=0.99", clip);
  // 40 - 24 tokens are left of 40, so all of 16 stay: 8 still ones, then 2 of each frame.
  REQUIRE(left.features.size(0) == 16);
  CHECK(at::equal(left.offsets, at::tensor({0, 10, 12, 14, 16}, at::kInt)));
  CHECK(at::equal(left.sizes, at::cat({at::full({8}, 4.f), at::ones({8})})));
  CHECK_THAT(left.features.slice(0, 0, 8), CloseTo(film[0].slice(0, 2)));
  CHECK(at::equal(left.features.slice(0, 8, 10), film[0].slice(0, 0, 2)));
  CHECK(left.origin.pts_seconds[0].item<double>() == 0.75);
  CHECK(left.origin.flags[0].item<int>() == (kObserved | kMerged | kSpread));
  CHECK(left.origin.flags[8].item<int>() == kObserved);
}

TEST_CASE("holitom: options out of range are refused by name") {
  const auto [text, message] = GENERATE(table<std::string, std::string>({
      {"tau=1", "holitom.tau"},
      {"beta=-1", "holitom.beta"},
      {"neighbours=0", "holitom.neighbours"},
      {"clustered=2", "holitom.clustered"},
      {"average=median", "holitom.average"},
      {"over=clip", "holitom.over"},
  }));
  CHECK_THROWS_WITH(compressors().make("holitom", Params::parse(text)), Contains(message));
  CHECK_THROWS_WITH(reduced("holitom", "keep=0.5,clustered=0", film_clip(lcg_tensor(7, {2, 9, 4}))),
                    Contains("holitom.clustered: expected 1"));
}

}  // namespace
}  // namespace lv::vision
