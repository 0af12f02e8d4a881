#include "vision/kernels/token_matching.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

MergeState to(const MergeState& state, at::Device device, at::ScalarType dtype) {
  return {state.features.to(device, dtype), state.sizes.to(device), state.positions.to(device),
          state.row_of.to(device)};
}

BipartiteMatch to(const BipartiteMatch& match, at::Device device) {
  return {match.kept.to(device), match.merged.to(device), match.into.to(device)};
}

}  // namespace

TEST_CASE("keys match by the mean over their heads") {
  const bool class_token = GENERATE(false, true);
  const at::Tensor keys = lcg_tensor(5, {2, 3, 9, 4});
  const BipartiteMatch match = match_keys(keys, 3, class_token),
                       expected = match_bipartite(keys.mean({1}), 3, class_token);
  CHECK(match.kept.equal(expected.kept));
  CHECK(match.merged.equal(expected.merged));
  CHECK(match.into.equal(expected.into));
}

TEST_CASE("tokens match on a GPU as on the CPU", "[.gpu]") {
  const bool class_token = GENERATE(false, true);
  const auto [tokens, pairs] =
      GENERATE(table<int64_t, int64_t>({{730, 15}, {730, 400}, {365, 22}, {2, 1}, {7, 3}, {8, 4}}));
  CAPTURE(class_token, tokens, pairs);
  // As a layer has them: heads between the tokens.
  const at::Tensor keys = at::randn({2, tokens, 3, 16}).transpose(1, 2);
  const BipartiteMatch here = match_keys(keys, pairs, class_token),
                       there = match_keys(keys.to(at::kCUDA), pairs, class_token);
  CHECK(there.kept.cpu().equal(here.kept));
  CHECK(there.merged.cpu().equal(here.merged));
  CHECK(there.into.cpu().equal(here.into));
}

TEST_CASE("more tokens than a kernel ranks match on a GPU, too", "[.gpu]") {
  const at::Tensor keys = at::randn({1, 1, 9000, 16});
  const BipartiteMatch here = match_keys(keys, 50, true),
                       there = match_keys(keys.to(at::kCUDA), 50, true);
  CHECK(there.kept.cpu().equal(here.kept));
}

TEST_CASE("tokens merge on a GPU as on the CPU", "[.gpu]") {
  const bool class_token = GENERATE(false, true);
  const auto [dtype, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-5}, {at::kHalf, 2e-3}, {at::kBFloat16, 2e-2}}));
  const int64_t width = GENERATE(8, 1280, 12);
  const at::Tensor first = at::randn({2, 91, width}).to(dtype).to(at::kFloat);
  MergeState here = unmerged(first), there = to(here, at::kCUDA, dtype);
  for (const int64_t pairs : {20, 30, 3}) {
    const BipartiteMatch match = match_bipartite(here.features, pairs, class_token);
    const at::Tensor delta = at::randn_like(here.features).to(dtype).to(at::kFloat);
    here.features = (here.features + delta).to(dtype).to(at::kFloat);
    here = merge(here, match);
    there = merge(there, to(match, at::kCUDA), delta.to(at::kCUDA, dtype));
    here.features = here.features.to(dtype).to(at::kFloat);
    CHECK_THAT(there.features.to(at::kFloat).cpu(), CloseTo(here.features, error, error));
    CHECK(there.sizes.cpu().equal(here.sizes));
    CHECK(there.positions.cpu().equal(here.positions));
    CHECK(there.row_of.cpu().equal(here.row_of));
    there.features = here.features.to(at::kCUDA, dtype);
  }
}

TEST_CASE("tokens that are no numbers merge into something on a GPU", "[.gpu]") {
  const at::Tensor keys = at::full({1, 1, 64, 8}, NAN, at::TensorOptions(at::kCUDA));
  const BipartiteMatch match = match_keys(keys, 10, true);
  CHECK(match.merged.ge(0).logical_and(match.merged.lt(64)).all().item<bool>());
  CHECK(std::get<0>(at::cat({match.kept, match.merged}, 1).sort(1))
            .cpu()
            .flatten()
            .equal(at::arange(0, 64, 2)));
}

}  // namespace lv::vision
