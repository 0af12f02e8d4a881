#include "llm/mixers/selective_scan.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

ScanInput random_input(int64_t n, int64_t channels, int64_t states) {
  return {at::randn({n, channels}), at::softplus(at::randn({n, channels}) - 1),
          -at::rand({channels, states}) * 4, at::randn({n, states}), at::randn({n, states})};
}

ScanInput rows(const ScanInput& x, int64_t begin, int64_t end) {
  return {x.u.slice(0, begin, end), x.delta.slice(0, begin, end), x.a, x.b.slice(0, begin, end),
          x.c.slice(0, begin, end)};
}

}  // namespace

TEST_CASE("selective scan equals the sequential loop") {
  const int64_t n = GENERATE(1, 2, 63, 300);
  const ScanInput input = random_input(n, 70, 5);
  const at::Tensor before = at::randn({70, 5});
  const at::Tensor kept = before.clone();
  const ScanResult expected = selective_scan_reference(input, before);
  const ScanResult got = selective_scan(input, before);
  CHECK_THAT(got.y, CloseTo(expected.y, 1e-4, 1e-5));  // sums of 5 in another order
  CHECK_THAT(got.state, CloseTo(expected.state, 1e-4, 1e-5));
  CHECK(at::equal(before, kept));
}

TEST_CASE("selective scan by doubling equals the sequential loop") {
  // What devices other than the CPU run; here reached through another element type.
  ScanInput input = random_input(37, 6, 4);
  for (at::Tensor* x : {&input.u, &input.delta, &input.a, &input.b, &input.c}) {
    *x = x->to(at::kDouble);
  }
  const ScanResult expected = selective_scan_reference(input, {});
  const ScanResult got = selective_scan(input, {});
  CHECK_THAT(got.y, CloseTo(expected.y, 1e-10, 1e-10));
  CHECK_THAT(got.state, CloseTo(expected.state, 1e-10, 1e-10));
}

TEST_CASE("selective scan reads in pieces, chunks and steps as in one") {
  const ScanInput wide = random_input(40, 4096, 16);  // several chunks: 65536 numbers a token
  const ScanResult whole = selective_scan(wide, {});
  const ScanResult first = selective_scan(rows(wide, 0, 23), {});
  const ScanResult second = selective_scan(rows(wide, 23, 39), first.state);
  const ScanResult step = selective_step(rows(wide, 39, 40), second.state.unsqueeze(0));
  CHECK_THAT(at::cat({first.y, second.y, step.y}), CloseTo(whole.y, 1e-4, 1e-4));
  CHECK_THAT(step.state[0], CloseTo(whole.state, 1e-4, 1e-5));
}

TEST_CASE("selective scan leaves the state alone where no time passes") {
  ScanInput input = random_input(9, 3, 2);
  input.delta.zero_();
  const at::Tensor before = at::randn({3, 2});
  CHECK_THAT(selective_scan(input, before).state, CloseTo(before, 0, 0));
  CHECK_THAT(selective_scan(rows(input, 0, 0), before).state, CloseTo(before, 0, 0));
}

TEST_CASE("selective scan refuses shapes that do not fit") {
  ScanInput input = random_input(4, 3, 2);
  CHECK_THROWS_WITH(selective_scan(input, at::zeros({2, 3})), Catch::Contains("scan state"));
  input.b = at::zeros({4, 3});
  CHECK_THROWS_WITH(selective_scan(input, {}), Catch::Contains("scan b"));
}

}  // namespace lv::llm
