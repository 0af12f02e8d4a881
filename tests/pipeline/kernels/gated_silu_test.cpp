#include "pipeline/kernels/gated_silu.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {

TEST_CASE("gated_silu by hand") {
  const at::Tensor gate = at::tensor({-1.F, 0.F, 1.F, 100.F});
  const at::Tensor up = at::tensor({2.F, 3.F, -4.F, 0.5F});
  CHECK_THAT(gated_silu(gate, up), CloseTo(at::tensor({-0.537883F, 0.F, -2.924234F, 50.F})));
  CHECK_THROWS_MATCHES(gated_silu(gate, at::ones({3})), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected [4], got [3]"));
}

TEST_CASE("gated_silu on a GPU", "[.gpu]") {
  const auto [dtype, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-5}, {at::kHalf, 2e-3}, {at::kBFloat16, 2e-2}}));
  const int64_t count = GENERATE(8, 8 * 12345, 7);
  const at::TensorOptions there(at::kCUDA);
  const at::Tensor gate = at::randn({count}, there).mul_(6).to(dtype);
  const at::Tensor up = at::randn({count}, there).to(dtype);
  const at::Tensor wide = gate.to(at::kDouble);
  const at::Tensor expected = wide * at::sigmoid(wide) * up.to(at::kDouble);
  CHECK_THAT(gated_silu(gate, up).to(at::kFloat).cpu(),
             CloseTo(expected.to(at::kFloat).cpu(), error, error / 10));
}

TEST_CASE("gated_silu of halves of one tensor on a GPU", "[.gpu]") {
  const int64_t width = GENERATE(8, 11008, 12);
  const at::Tensor both = at::randn({5, 2 * width}, at::kCUDA).to(at::kBFloat16);
  const at::Tensor gate = both.slice(1, 0, width), up = both.slice(1, width);
  const at::Tensor expected = gated_silu(gate.clone(), up.clone());
  CHECK(at::equal(gated_silu(gate, up), expected));
}

}  // namespace lv
