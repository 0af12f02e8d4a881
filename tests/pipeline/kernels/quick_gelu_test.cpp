#include "pipeline/kernels/quick_gelu.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"

namespace lv {

TEST_CASE("quick_gelu by hand") {
  const at::Tensor x = at::tensor({-1.F, 0.F, 1.F, 100.F});
  CHECK_THAT(quick_gelu(x), CloseTo(at::tensor({-0.154204F, 0.F, 0.845796F, 100.F})));
}

TEST_CASE("quick_gelu on a GPU", "[.gpu]") {
  const auto [dtype, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-5}, {at::kHalf, 2e-3}, {at::kBFloat16, 2e-2}}));
  const int64_t count = GENERATE(8, 8 * 12345, 7);
  const at::Tensor x = at::randn({count}, at::TensorOptions(at::kCUDA)).mul_(6).to(dtype);
  const at::Tensor expected = quick_gelu_reference(x.to(at::kDouble)).to(at::kFloat).cpu();
  CHECK_THAT(quick_gelu(x).to(at::kFloat).cpu(), CloseTo(expected, error, error / 10));
}

}  // namespace lv
