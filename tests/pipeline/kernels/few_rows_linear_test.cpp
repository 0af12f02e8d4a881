#include "pipeline/kernels/few_rows_linear.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/close_to.h"

namespace lv {
namespace {

void check_product(at::Device device, at::ScalarType type, double error) {
  at::manual_seed(31);
  const int64_t rows = GENERATE(1, 2, 3, 4, 5);
  const auto [in, out] = GENERATE(table<int64_t, int64_t>(
      {{8, 3}, {264, 17}, {1024, 130}, {4096, 256}, {512, 8195}, {11008, 33}, {12, 5}}));
  CAPTURE(rows, in, out);
  const at::Tensor x = at::randn({rows, in}).to(device, type);
  const at::Tensor weight = (at::randn({out, in}) / std::sqrt(in)).to(device, type);
  const at::Tensor expected = x.to(at::kDouble).mm(weight.to(at::kDouble).t());
  CHECK_THAT(few_rows_linear(x, weight).cpu().to(at::kFloat),
             CloseTo(expected.cpu().to(at::kFloat), error, error));
}

}  // namespace

TEST_CASE("few rows times a matrix") { check_product(at::kCPU, at::kFloat, 1e-5); }
TEST_CASE("few rows times a matrix on a GPU", "[.gpu]") {
  const auto [type, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 3e-3}, {at::kHalf, 2e-3}, {at::kBFloat16, 1e-2}}));
  check_product(at::kCUDA, type, error);
}

}  // namespace lv
