#include "services/tasks/visual_plan.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

const std::vector<double> kKeeps{1, 0.5, 0.25, 0.1, 0.05};

/// A film of so many frames and tokens each, with one token behind it, or a still; in so many
/// sizes, of which each has half the tokens of the one before.
SourceCost cost_of(int64_t frames, int64_t tokens, bool film, int64_t sizes = 1) {
  SourceCost source{frames, {}};
  for (int64_t size = 0; size < sizes; ++size) {
    const auto left = static_cast<double>(std::max<int64_t>(1, tokens >> size));
    PictureCost cost{left / static_cast<double>(tokens), {}, {}};
    for (const double keep : kKeeps) {
      cost.frame.push_back(std::max<int64_t>(1, static_cast<int64_t>(std::floor(left * keep))));
      cost.after.push_back(film ? 1 : 0);
    }
    source.sizes.push_back(std::move(cost));
  }
  return source;
}

std::vector<int64_t> frames_of(const VisualPlan& plan) {
  std::vector<int64_t> frames;
  for (const SourcePlan& source : plan.sources) frames.push_back(source.frames);
  return frames;
}

std::vector<size_t> sizes_of(const VisualPlan& plan) {
  std::vector<size_t> sizes;
  for (const SourcePlan& source : plan.sources) sizes.push_back(source.size);
  return sizes;
}

struct Rank {
  int64_t worth, fewer_tokens;
  double keep;
  std::vector<int64_t> frames, smaller_by;  // the latter negative
  auto operator<=>(const Rank&) const = default;
};

/// The best of all plans, each tried.
std::optional<Rank> best_of_all(const std::vector<SourceCost>& sources, int64_t most_tokens) {
  std::optional<Rank> best;
  for (size_t k = 0; k < kKeeps.size(); ++k) {
    std::vector<int64_t> frames(sources.size(), 1), sizes(sources.size(), 0);
    const auto next = [&] {  // as one counts
      for (size_t i = 0; i < sources.size(); ++i) {
        if (++frames[i] <= sources[i].most_frames) return true;
        frames[i] = 1;
        if (--sizes[i] > -static_cast<int64_t>(sources[i].sizes.size())) return true;
        sizes[i] = 0;
      }
      return false;
    };
    do {
      int64_t tokens = 0, worth = 0;
      for (size_t i = 0; i < sources.size(); ++i) {
        const PictureCost& cost = sources[i].sizes[static_cast<size_t>(-sizes[i])];
        tokens += frames[i] * cost.frame[k] + cost.after[k];
        worth += std::llround(1000 * std::log2(static_cast<double>(frames[i]))) -
                 loss_of(kKeeps[k] * cost.detail) - (sizes[i] < 0 ? 1 : 0);
      }
      const Rank rank{worth, -tokens, kKeeps[k], frames, sizes};
      if (tokens <= most_tokens && (!best || *best < rank)) best = rank;
    } while (next());
  }
  return best;
}

TEST_CASE("plans are the best of all") {
  const auto seed = GENERATE(range(1u, 60u));
  const at::Tensor draws = (lcg_tensor(seed, {12}) + 1) / 2;
  const auto draw = [&](int64_t i, int64_t most) {
    return 1 + static_cast<int64_t>(draws[i].item<float>() * static_cast<float>(most) * 0.999F);
  };
  std::vector<SourceCost> sources;
  for (int64_t i = 0; i < draw(0, 3); ++i) {
    const int64_t frames = draw(1 + 2 * i, 12);
    sources.push_back(cost_of(frames, draw(2 + 2 * i, 60), frames > 1, draw(8 + i, 3)));
  }
  const int64_t most = draw(11, 400);
  const std::optional<Rank> best = best_of_all(sources, most);
  if (!best) {
    CHECK_THROWS_AS(plan_visual(sources, kKeeps, most), Error);
    return;
  }
  const VisualPlan plan = plan_visual(sources, kKeeps, most);
  CHECK(plan.tokens == -best->fewer_tokens);
  CHECK(plan.tokens <= most);
  CHECK(kKeeps[plan.keep] == best->keep);
  for (size_t i = 0; i < sources.size(); ++i) {
    CHECK(plan.sources[i].frames == best->frames[i]);
    CHECK(sizes_of(plan)[i] == static_cast<size_t>(-best->smaller_by[i]));
  }
}

TEST_CASE("plans: tokens go before frames, down to a quarter") {
  const std::vector<SourceCost> film{cost_of(8, 49, false)};
  const auto plan = [&](int64_t most) { return plan_visual(film, kKeeps, most); };
  CHECK(plan(392).keep == 0);
  CHECK(frames_of(plan(392)) == std::vector<int64_t>{8});
  CHECK(kKeeps[plan(200).keep] == 0.5);
  CHECK(frames_of(plan(200)) == std::vector<int64_t>{8});
  CHECK(kKeeps[plan(100).keep] == 0.25);
  CHECK(frames_of(plan(100)) == std::vector<int64_t>{8});
  CHECK(plan(100).tokens == 96);
  CHECK(frames_of(plan(48)) == std::vector<int64_t>{4});
  CHECK(kKeeps[plan(48).keep] == 0.25);
}

TEST_CASE("plans: too small a budget says what is needed") {
  const std::vector<SourceCost> two{cost_of(8, 49, true), cost_of(1, 100, false)};
  CHECK_THROWS_WITH(
      plan_visual(two, kKeeps, 7),
      "visual tokens: expected at least 8 for one picture of each of 2 sources, got 7");
  CHECK(plan_visual(two, kKeeps, 8).tokens == 8);
}

TEST_CASE("plans: long films are planned in steps, and may be looked at whole") {
  const std::vector<SourceCost> film{cost_of(1000, 10, false)};
  CHECK(frames_of(plan_visual(film, kKeeps, 10000)) == std::vector<int64_t>{1000});
  CHECK(frames_of(plan_visual(film, {1}, 5000)).at(0) > 440);
}

TEST_CASE("plans: of several pages only some are made smaller") {
  // Halving all tokens of both would lose as much twice.
  const std::vector<SourceCost> pages{cost_of(1, 100, false, 3), cost_of(1, 100, false, 3)};
  const VisualPlan plan = plan_visual(pages, {1}, 150);
  CHECK(sizes_of(plan) == std::vector<size_t>{0, 1});
  CHECK(plan.tokens == 150);
  CHECK(sizes_of(plan_visual(pages, {1}, 200)) == std::vector<size_t>{0, 0});
}

TEST_CASE("plans: pictures stay as large as they are where merging does as well") {
  const VisualPlan plan = plan_visual({cost_of(1, 100, false, 3)}, kKeeps, 50);
  CHECK(sizes_of(plan) == std::vector<size_t>{0});
  CHECK(kKeeps[plan.keep] == 0.5);
}

TEST_CASE("loss: known points, between them by the logarithm") {
  CHECK(loss_of(1) == 0);
  CHECK(loss_of(0.5) == 250);
  CHECK(loss_of(0.25) == 750);
  CHECK(loss_of(0.1) == 2000);
  CHECK(loss_of(0.025) == 4000);
  CHECK(loss_of(std::sqrt(0.125)) == 500);
}

}  // namespace
}  // namespace lv::services
