#include "pipeline/kernels/rms_norm.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

void check_on(const char* device, at::ScalarType dtype, int64_t rows, int64_t width, double error) {
  CAPTURE(device, at::toString(dtype), rows, width);
  const auto place = at::TensorOptions(at::Device(device)).dtype(dtype);
  const at::Tensor x = at::randn({rows, width}).to(place);
  const at::Tensor delta = at::randn({rows, width}).to(place);
  const at::Tensor weight = at::randn({width}).to(place);
  const SumAndNorm out = add_rms_norm(x, delta, weight, 1e-5);
  CHECK_THAT(out.sum.cpu().to(at::kFloat), CloseTo((x + delta).cpu().to(at::kFloat), 0, 0));
  const at::Tensor wide = out.sum.to(at::kDouble);
  const at::Tensor expected =
      wide * at::rsqrt(wide.square().mean(-1, true) + 1e-5) * weight.to(at::kDouble);
  CHECK_THAT(out.norm.cpu().to(at::kFloat), CloseTo(expected.to(at::kFloat).cpu(), error, error));
  CHECK(at::equal(rms_norm(out.sum, weight, 1e-5), out.norm));
}

}  // namespace

TEST_CASE("rms_norm by hand") {
  const at::Tensor x = at::tensor({3.F, -4.F}).unsqueeze(0);  // mean of squares: 12.5
  const at::Tensor weight = at::tensor({1.F, 2.F});
  CHECK_THAT(rms_norm(x, weight, 0), CloseTo(at::tensor({0.848528F, -2.262742F}).unsqueeze(0)));
}

TEST_CASE("add_rms_norm gives the sum and its norm") {
  check_on("cpu", at::kFloat, 37, 24, 1e-5);
  check_on("cpu", at::kFloat, 0, 24, 1e-5);
  check_on("cpu", at::kBFloat16, 5, 24, 3e-2);
}

TEST_CASE("rms_norm names what does not fit") {
  const at::Tensor x = at::zeros({2, 8}), weight = at::ones({8});
  CHECK_THROWS_MATCHES(add_rms_norm(x, at::zeros({3, 8}), weight, 1e-5), Error,
                       IsError(ErrorCode::kInvalidArgument, "delta: expected [2, 8], got [3, 8]"));
  CHECK_THROWS_MATCHES(rms_norm(x, at::ones({4}), 1e-5), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected rows of 4, got [2, 8]"));
}

TEST_CASE("add_rms_norm on a GPU", "[.gpu]") {
  const int64_t width = GENERATE(8, 576, 4096, 8192, 8200, 12);
  for (const int64_t rows : {1, 731}) {
    check_on("cuda", at::kFloat, rows, width, 1e-5);
    check_on("cuda", at::kHalf, rows, width, 4e-3);
    check_on("cuda", at::kBFloat16, rows, width, 3e-2);
  }
}

}  // namespace lv
