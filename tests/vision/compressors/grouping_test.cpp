#include "vision/compressors/grouping.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

/// Four tokens: two in the first picture's left tile, one in its right, one in a second picture.
VisualTokens four_tokens() {
  VisualTokens tokens;
  tokens.features = at::tensor({1.0, 0.0, 3.0, 0.0, 0.0, 2.0, 0.0, 4.0}, at::kFloat).view({4, 2});
  tokens.offsets = at::tensor({0, 3, 4}, at::kInt);
  tokens.grids = {{1, 3}, {1, 1}};
  tokens.origin = {
      at::tensor({1.0, 1.0, 1.0, 2.0}, at::kDouble), at::tensor({0, 0, 0, 1}, at::kInt),
      at::tensor({0.0, 0.0, 0.2, 1.0, 0.2, 0.0, 0.5, 0.9, 0.5, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0},
                 at::kFloat)
          .view({4, 4}),
      at::tensor({1, 1, 5, 1}, at::kByte),
      at::tensor({1, 1, 1, 1, 1, 2, 0, 0}, at::kInt).view({4, 2})};
  return tokens;
}

Grouping grouping_of(std::initializer_list<int64_t> rows, int64_t count) {
  return {at::tensor(std::vector<int64_t>(rows), at::kLong), count};
}

TEST_CASE("grouped: a group of one tile is the mean, its box the union") {
  const VisualTokens out = grouped(four_tokens(), grouping_of({0, 0, 1, 2}, 3));
  CHECK(
      at::equal(out.features, at::tensor({2.0, 0.0, 0.0, 2.0, 0.0, 4.0}, at::kFloat).view({3, 2})));
  CHECK(at::equal(out.sizes, at::tensor({2.0, 1.0, 1.0}, at::kFloat)));
  CHECK(at::equal(out.origin.box[0], at::tensor({0.0, 0.0, 0.5, 1.0}, at::kFloat)));
  CHECK(at::equal(out.origin.flags, at::tensor({kObserved | kMerged, 5, 1}, at::kByte)));
  CHECK(at::equal(out.origin.tile, at::tensor({1, 1, 1, 2, 0, 0}, at::kInt).view({3, 2})));
}

TEST_CASE(
    "grouped: a group of several tiles or pictures is spread, and has the first one's place") {
  const VisualTokens out = grouped(four_tokens(), grouping_of({0, 1, 1, 0}, 2));
  CHECK(at::equal(out.origin.pts_seconds, at::tensor({1.5, 1.0}, at::kDouble)));
  CHECK(at::equal(out.origin.source, at::tensor({0, 0}, at::kInt)));
  CHECK(at::equal(out.origin.tile, at::tensor({1, 1, 1, 1}, at::kInt).view({2, 2})));
  CHECK(at::equal(out.origin.flags, at::tensor({kObserved | kMerged | kSpread,
                                                kObserved | kMerged | kImputed | kSpread},
                                               at::kByte)));
}

TEST_CASE("grouped: groups of one are the tokens themselves") {
  const VisualTokens tokens = four_tokens();
  const VisualTokens out = grouped(tokens, grouping_of({0, 1, 2, 3}, 4));
  CHECK(at::equal(out.features, tokens.features));
  CHECK(at::equal(out.origin.pts_seconds, tokens.origin.pts_seconds));
  CHECK(at::equal(out.origin.box, tokens.origin.box));
  CHECK(at::equal(out.origin.flags, tokens.origin.flags));
}

TEST_CASE("grouped: rows that are given stand for the groups") {
  const at::Tensor rows = at::ones({2, 2});
  CHECK(at::equal(grouped(four_tokens(), grouping_of({0, 0, 1, 1}, 2), rows).features, rows));
  CHECK_THROWS_WITH(grouped(four_tokens(), grouping_of({0, 0}, 1)),
                    Catch::Matchers::Contains("grouping.row_of"));
}

TEST_CASE("grouped: what was merged before counts as much as it stands for") {
  VisualTokens tokens = four_tokens();
  tokens.sizes = at::tensor({3.f, 1.f, 1.f, 5.f});
  tokens.saliency = at::tensor({0.1f, 0.2f, 0.3f, 0.4f});
  tokens.reports = {{"x", 0.4, 10, 4, 1, 0}};
  const VisualTokens out = grouped(tokens, grouping_of({0, 0, 1, 1}, 2));
  CHECK_NOTHROW(validate(out));
  CHECK(at::equal(out.sizes, at::tensor({4.f, 6.f})));
  CHECK_THAT(out.saliency, CloseTo(at::tensor({0.3f, 0.7f})));
  CHECK_THAT(out.features, CloseTo(at::tensor({1.5f, 0.f, 0.f, 11.f / 3}).view({2, 2})));
  CHECK(out.origin.pts_seconds[1].item<double>() == Approx((1 + 5 * 2) / 6.0));
  CHECK(out.reports.size() == 1);
}

TEST_CASE("grouped: rows stay in the pictures where they stand, grids where nothing went") {
  const VisualTokens out = grouped(four_tokens(), grouping_of({0, 0, 1, 2}, 3));
  CHECK_NOTHROW(validate(out));
  CHECK(at::equal(out.offsets, at::tensor({0, 2, 3}, at::kInt)));
  CHECK(out.grids[0].rows == 0);
  CHECK(out.grids[1].rows == 1);
  Grouping across = grouping_of({0, 0, 1, 0}, 2);
  across.place = at::tensor({2, 3}, at::kLong);
  CHECK(at::equal(grouped(four_tokens(), across).offsets, at::tensor({0, 1, 2}, at::kInt)));
}

TEST_CASE("grouped: tokens that were dropped are counted and leave nothing") {
  Grouping grouping = grouping_of({0, 0, 1, 1}, 2);
  grouping.dropped = at::tensor({1, 0, 0, 1}, at::kByte).to(at::kBool);
  const VisualTokens tokens = four_tokens();
  const VisualTokens out = grouped(tokens, grouping);
  CHECK(at::equal(out.sizes, at::tensor({2.f, 2.f})));
  CHECK(at::equal(out.features, tokens.features.slice(0, 1, 3)));
  CHECK(at::equal(out.origin.box, tokens.origin.box.slice(0, 1, 3)));
  CHECK(at::equal(out.origin.flags, tokens.origin.flags.slice(0, 1, 3)));
  CHECK(at::equal(out.origin.pts_seconds, tokens.origin.pts_seconds.slice(0, 1, 3)));
}

TEST_CASE("fidelity: the mean cosine, and 1 of nothing") {
  const at::Tensor features = four_tokens().features;
  CHECK(fidelity_of(features, grouping_of({0, 1, 2, 3}, 4), features) == Approx(1));
  // The first two point along one axis, the others along the other: half of them are at right
  // angles.
  CHECK(fidelity_of(features, grouping_of({0, 0, 0, 0}, 1), features.slice(0, 0, 1)) ==
        Approx(0.5));
  CHECK(fidelity_of(at::empty({0, 2}), {at::empty({0}, at::kLong), 0}, at::empty({0, 2})) == 1);
}

TEST_CASE("reported: tells what came in, what goes out, and how like it is") {
  const VisualTokens tokens = four_tokens();
  const Grouping grouping = grouping_of({0, 0, 1, 1}, 2);
  const VisualTokens out = reported(grouped(tokens, grouping), "x", 0.5, tokens, grouping,
                                    std::chrono::steady_clock::now());
  REQUIRE(out.reports.size() == 1);
  CHECK(out.reports[0].method == "x");
  CHECK(out.reports[0].keep == 0.5);
  CHECK(out.reports[0].tokens_in == 4);
  CHECK(out.reports[0].tokens_out == 2);
  CHECK(out.reports[0].fidelity == Approx(1));
  CHECK(out.reports[0].milliseconds >= 0);
}

TEST_CASE("means around a centre are of all members, or of the others") {
  const at::Tensor features = at::tensor({1.f, 3.f, 8.f, 7.f}).view({4, 1});
  const CentredGroups groups(features, at::tensor({1, 3}, at::kLong),
                             at::tensor({0, 0, 0, 1}, at::kLong));
  CHECK(at::equal(groups.centres, at::tensor({3.f, 7.f}).view({2, 1})));
  CHECK(at::equal(groups.means(), at::tensor({4.f, 7.f}).view({2, 1})));
  CHECK(at::equal(groups.means_of_others(), at::tensor({4.5f, 0.f}).view({2, 1})));
}

}  // namespace
}  // namespace lv::vision
