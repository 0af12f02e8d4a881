#include "pipeline/kernels/layer_norm.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/on_device.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

/// In float64, of what the type holds.
at::Tensor expected(const at::Tensor& sum, const at::Tensor& weight, const at::Tensor& bias) {
  return at::layer_norm(sum.to(at::kDouble), weight.sizes(), weight.to(at::kDouble),
                        bias.to(at::kDouble), 1e-5)
      .to(at::kFloat);
}

void check_on(const char* device, at::ScalarType dtype, int64_t rows, int64_t width, double error) {
  CAPTURE(device, at::toString(dtype), rows, width);
  const auto place = at::TensorOptions(at::Device(device)).dtype(dtype);
  const at::Tensor x = at::randn({rows, width}).to(place),
                   delta = at::randn({rows, width}).to(place),
                   weight = at::randn({width}).to(place), bias = at::randn({width}).to(place);
  const SumAndNorm out = add_layer_norm(x, delta, weight, bias, 1e-5);
  CHECK_THAT(out.sum.cpu().to(at::kFloat), CloseTo((x + delta).cpu().to(at::kFloat), 0, 0));
  CHECK_THAT(out.norm.cpu().to(at::kFloat),
             CloseTo(expected(out.sum, weight, bias).cpu(), error, error));
  CHECK_THAT(layer_norm(out.sum, weight, bias, 1e-5).cpu().to(at::kFloat),
             CloseTo(out.norm.cpu().to(at::kFloat), 0, dtype == at::kFloat ? 1e-5 : error));
}

}  // namespace

TEST_CASE("add_layer_norm gives the sum and its norm") {
  check_on("cpu", at::kFloat, 5, 24, 1e-5);
  check_on("cpu", at::kFloat, 0, 24, 1e-5);
}

TEST_CASE("add_layer_norm names what does not fit") {
  const at::Tensor x = at::zeros({2, 8}), row = at::ones({8});
  CHECK_THROWS_MATCHES(add_layer_norm(x, at::zeros({3, 8}), row, row, 1e-5), Error,
                       IsError(ErrorCode::kInvalidArgument, "delta: expected [2, 8], got [3, 8]"));
  CHECK_THROWS_MATCHES(add_layer_norm(x, x, at::ones({4}), row, 1e-5), Error,
                       IsError(ErrorCode::kInvalidArgument, "weight: expected [8], got [4]"));
}

TEST_CASE("add_layer_norm on a GPU", "[.gpu]") {
  const int64_t width = GENERATE(8, 1024, 1280, 8192, 8200, 12);
  for (const int64_t rows : {1, 731}) {
    check_on("cuda", at::kFloat, rows, width, 1e-5);
    check_on("cuda", at::kHalf, rows, width, 4e-3);
    check_on("cuda", at::kBFloat16, rows, width, 3e-2);
  }
}

}  // namespace lv
