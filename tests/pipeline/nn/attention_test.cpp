#include "pipeline/nn/attention.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv {

TEST_CASE("attention reference weighs two keys by hand") {
  // One head of one dimension: scores 0 and ln 3, so weights 1/4 and 3/4.
  const at::Tensor q = at::ones({1, 1, 1});
  const at::Tensor k = at::tensor({0.0F, std::log(3.0F)}).view({2, 1, 1});
  const at::Tensor v = at::tensor({4.0F, 8.0F}).view({2, 1, 1});
  const Partial got = attend_reference(q, k, v, {1, 0}, 1);
  CHECK(got.out.item<float>() == Approx(7));
  CHECK(got.lse.item<float>() == Approx(std::log(4.0)));
  CHECK(attend_reference(q, k, v, {0, 0}, 1).out.item<float>() == 4);
}

TEST_CASE("attention that sees no key is zero and minus infinity") {
  const at::Tensor x = lcg_tensor(1, {2, 1, 4});
  const Partial got = attend_reference(x, x, x, {-1, 0}, 1);
  CHECK(at::equal(got.out[0], at::zeros({1, 4})));
  CHECK(got.lse[0].item<float>() == -std::numeric_limits<float>::infinity());
  CHECK(at::equal(got.out[1], x[0]));

  const Partial nothing{at::zeros({2, 1, 4}), at::full({2, 1}, -INFINITY)};
  const Partial merged = merge(nothing, got);
  CHECK_THAT(merged.out, CloseTo(got.out));
  CHECK(at::equal(merged.lse, got.lse));
}

TEST_CASE("attention equals the reference for every offset, window and grouping") {
  const int64_t n = GENERATE(1, 2, 17, 33);
  const int64_t cached = GENERATE(0, 1, 40);
  const int64_t window = GENERATE(0, 1, 9, 100);
  const int64_t kv_heads = GENERATE(1, 2, 6);
  CAPTURE(n, cached, window, kv_heads);
  const at::Tensor q = lcg_tensor(1, {n, 6, 16}) * 3;
  const at::Tensor k = lcg_tensor(2, {cached + n + 2, kv_heads, 16}) * 3;  // two keys in the future
  const at::Tensor v = lcg_tensor(3, {cached + n + 2, kv_heads, 16});
  const Partial got = attend(q, k, v, {cached, window}, 0.25);
  const Partial expected = attend_reference(q, k, v, {cached, window}, 0.25);
  CHECK_THAT(got.out, CloseTo(expected.out, 1e-5, 2e-6));
  CHECK_THAT(got.lse, CloseTo(expected.lse, 1e-5, 2e-6));
}

TEST_CASE("attention on a GPU equals the reference", "[.gpu]") {
  const auto [dtype, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-4}, {at::kHalf, 4e-3}, {at::kBFloat16, 3e-2}}));
  const int64_t n = GENERATE(1, 33, 200);
  const int64_t cached = GENERATE(0, 1, 300);
  const auto [window, sinks] = GENERATE(table<int64_t, int64_t>({{0, 0}, {9, 0}, {50, 4}}));
  const int64_t kv_heads = GENERATE(2, 6);
  CAPTURE(n, cached, window, sinks, kv_heads, at::toString(dtype));
  const auto place = at::TensorOptions(at::kCUDA).dtype(dtype);
  const at::Tensor q = lcg_tensor(1, {n, 6, 64}).to(place);
  const at::Tensor k = lcg_tensor(2, {cached + n + 2, kv_heads, 64}).to(place);
  const at::Tensor v = lcg_tensor(3, {cached + n + 2, kv_heads, 64}).to(place);
  const CausalMask mask{cached, window, sinks};
  const Partial got = attend(q, k, v, mask, 0.25);
  const Partial expected = attend_reference(q, k, v, mask, 0.25);
  CHECK(got.out.scalar_type() == dtype);
  CHECK_THAT(got.out.to(at::kFloat).cpu(),
             CloseTo(expected.out.to(at::kFloat).cpu(), error, error));
  CHECK_THAT(got.lse.cpu(), CloseTo(expected.lse.cpu(), error, error));
}

TEST_CASE("attention reads keys that lie in a larger store") {
  const at::Tensor store = lcg_tensor(4, {64, 2, 8});
  const at::Tensor k = store.slice(0, 0, 20);
  const at::Tensor q = lcg_tensor(5, {3, 4, 8});
  CHECK_THAT(attend(q, k, k, {17, 0}, 1).out,
             CloseTo(attend_reference(q, k, k, {17, 0}, 1).out, 1e-5, 2e-6));
}

TEST_CASE("attention parts over disjoint keys merge into the whole in any order") {
  const at::Tensor q = lcg_tensor(1, {5, 4, 8});
  const at::Tensor k = lcg_tensor(2, {30, 2, 8});
  const at::Tensor v = lcg_tensor(3, {30, 2, 8});
  const auto part = [&](int64_t from, int64_t to) {
    return attend_reference(q, k.slice(0, from, to), v.slice(0, from, to), {to - from, 0}, 1);
  };
  const Partial whole = part(0, 30);
  const Partial a = part(0, 7);
  const Partial b = part(7, 19);
  const Partial c = part(19, 30);
  CHECK_THAT(merge(merge(a, b), c).out, CloseTo(whole.out, 1e-5, 1e-6));
  CHECK_THAT(merge(c, merge(b, a)).out, CloseTo(whole.out, 1e-5, 1e-6));
  CHECK_THAT(merge(merge(a, c), b).lse, CloseTo(whole.lse, 1e-5, 1e-6));
}

TEST_CASE("attention refuses shapes that do not fit") {
  const at::Tensor q = at::zeros({2, 4, 8});
  CHECK_THROWS_WITH(attend(q, at::zeros({2, 3, 8}), at::zeros({2, 3, 8}), {}, 1),
                    Catch::Contains("multiple of key heads"));
  CHECK_THROWS_WITH(attend(q, at::zeros({2, 2, 4}), at::zeros({2, 2, 4}), {}, 1),
                    Catch::Contains("attention k"));
  CHECK_THROWS_WITH(attend(q, at::zeros({2, 2, 8}), at::zeros({1, 2, 8}), {}, 1),
                    Catch::Contains("attention v"));
  CHECK_THROWS_WITH(attend(q, at::zeros({2, 2, 8}), at::zeros({2, 2, 8}), {1, 0}, 1),
                    Catch::Contains("expected a key for each of 3 positions, got 2"));
}

}  // namespace lv
