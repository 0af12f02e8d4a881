#include "services/tasks/clip.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

/// Two pictures of two tokens each at these times; features count up from `first`.
VisualTokens two_pictures(double first, double pts, int32_t source = 0) {
  VisualTokens tokens;
  tokens.features = at::arange(first, first + 8).to(at::kFloat).view({4, 2});
  tokens.offsets = at::tensor({0, 2, 4}, at::kInt);
  tokens.grids = {{1, 2}, {1, 2}};
  tokens.origin = {at::tensor({pts, pts, pts + 1, pts + 1}, at::kDouble),
                   at::full({4}, source, at::kInt), at::zeros({4, 4}),
                   at::full({4}, kObserved, at::kByte), at::zeros({4, 2}, at::kInt)};
  tokens.labels = {{1, "cat", 0.5}};
  return tokens;
}

TEST_CASE("joined tokens keep their packing and labels, source by source") {
  const VisualTokens all = joined({two_pictures(8, 5, 1), two_pictures(0, 0)});
  CHECK_NOTHROW(validate(all));
  CHECK_THAT(all.features, CloseTo(at::arange(16).to(at::kFloat).view({8, 2}), 0, 0));
  CHECK_THAT(all.offsets, CloseTo(at::tensor({0, 2, 4, 6, 8}), 0, 0));
  CHECK_THAT(all.origin.source, CloseTo(at::tensor({0, 0, 0, 0, 1, 1, 1, 1}), 0, 0));
  REQUIRE(all.labels.size() == 2);
  CHECK(all.labels[1].picture == 3);
}

TEST_CASE("joined tokens keep what one part alone says of its rows, and add up reports") {
  VisualTokens merged = two_pictures(8, 5, 1);
  merged.sizes = at::full({4}, 3.0f);
  merged.saliency = at::full({4}, 0.5f);
  merged.reports = {{"tome", 0.5, 12, 4, 0.5, 2}};
  VisualTokens more = merged;
  more.reports = {{"tome", 0.5, 4, 4, 1, 1}};
  const VisualTokens all = joined({two_pictures(0, 0), merged, more});
  CHECK_NOTHROW(validate(all));
  CHECK(at::equal(all.sizes, at::cat({at::ones({4}), at::full({8}, 3.0f)})));
  CHECK(at::equal(all.saliency, at::cat({at::zeros({4}), at::full({8}, 0.5f)})));
  REQUIRE(all.reports.size() == 1);
  CHECK(all.reports[0].tokens_in == 16);
  CHECK(all.reports[0].tokens_out == 8);
  CHECK(all.reports[0].fidelity == Approx(0.625));
  CHECK(all.reports[0].milliseconds == Approx(3));
}

TEST_CASE("joining nothing gives valid tokens without rows") {
  const VisualTokens none = joined({});
  CHECK_NOTHROW(validate(none));
  CHECK(none.features.size(0) == 0);
}

TEST_CASE("between takes the rows of one source in a half-open span of time") {
  const VisualTokens all = joined({two_pictures(0, 0), two_pictures(8, 0, 1)});
  CompressedTokens tokens{all.features, at::ones({8}), all.origin, {}};
  const CompressedTokens part = between(tokens, 1, 0, 1);
  CHECK_NOTHROW(validate(part));
  CHECK_THAT(part.embeddings, CloseTo(at::tensor({8.f, 9.f, 10.f, 11.f}).view({2, 2}), 0, 0));
  CHECK(between(tokens, 0, 2, 9).embeddings.size(0) == 0);
}

}  // namespace
}  // namespace lv::services
