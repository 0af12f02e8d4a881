#include "pipeline/kernels/recording.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/launch.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {

TEST_CASE("nothing is recorded on the CPU") {
  CHECK(record([](const at::Tensor& x) { return std::vector<at::Tensor>{x}; }, at::ones({2})) ==
        nullptr);
}

TEST_CASE("a recording computes anew for each input", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  const at::Tensor example = at::randn({3, 4}, at::TensorOptions(at::kCUDA));
  int calls = 0;
  const auto recording = record(
      [&](const at::Tensor& x) {
        ++calls;
        return std::vector<at::Tensor>{at::matmul(x, x.t()).exp_(), x + 1};
      },
      example);
  REQUIRE(recording != nullptr);
  for (int i = 0; i < 3; ++i) {
    const at::Tensor x = at::randn({3, 4}, at::TensorOptions(at::kCUDA));
    const std::vector<at::Tensor>& out = recording->run(x);
    CHECK_THAT(out[0].cpu(), CloseTo(at::matmul(x, x.t()).exp_().cpu()));
    CHECK_THAT(out[1].cpu(), CloseTo((x + 1).cpu(), 0, 0));
  }
  CHECK(calls == 2);
}

TEST_CASE("what waits for the GPU is not recorded, and does no harm", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  const at::Tensor one = at::ones({1}, at::TensorOptions(at::kCUDA));
  CHECK(record([](const at::Tensor& x) { return std::vector<at::Tensor>{x * x.item<float>()}; },
               one) == nullptr);
  CHECK_THROWS_MATCHES(record(
                           [](const at::Tensor&) -> std::vector<at::Tensor> {
                             throw Error(ErrorCode::kCancelled, "stop");
                           },
                           one),
                       Error, IsError(ErrorCode::kCancelled, "stop"));
  CHECK((one + one).item<float>() == 2);
  CHECK(at::rand({8}, one.options()).lt(1).all().item<bool>());
}

}  // namespace lv
