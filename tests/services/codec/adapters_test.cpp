#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>
#include <memory>

#include "longview/v1/visual_tokens.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/codec.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::services {
namespace {

/// What is left of low-rank weights after they travelled.
AdapterWeights received(const AdapterWeights& weights) {
  const auto message = std::make_shared<v1::AdapterWeights>();
  to_proto(weights, message.get());
  return from_proto(Received<v1::AdapterWeights>(message));
}

}  // namespace

TEST_CASE("low-rank weights travel as they are, however they lie in memory") {
  const auto dtype = GENERATE(at::kFloat, at::kHalf, at::kBFloat16);
  const at::Tensor down = lcg_tensor(1, {6, 2}).to(dtype).t(), up = lcg_tensor(2, {4, 2}).to(dtype);
  const AdapterWeights got = received({{"model.layers.0.mlp", down, up}, {"b", down, up}});
  REQUIRE(got.size() == 2);
  CHECK(got[0].target == "model.layers.0.mlp");
  CHECK(at::equal(got[0].down, down));
  CHECK(at::equal(got[1].up, up));
}

TEST_CASE("low-rank weights that cannot be are refused on arrival") {
  const at::Tensor down = at::ones({2, 6}), up = at::ones({4, 2});
  const auto refuses = [](const AdapterWeights& weights, const char* text) {
    CHECK_THROWS_MATCHES(received(weights), Error, IsError(ErrorCode::kInvalidArgument, text));
  };
  refuses({{"a", down * std::numeric_limits<float>::quiet_NaN(), up}}, "adapter.down");
  refuses({{"a", down, up / 0}}, "adapter.up: expected finite");
  refuses({{"a", down, at::ones({4, 3})}}, "adapter a: expected up and down of one rank");
  refuses({{"a", at::ones({2}), up}}, "adapter.down");
  refuses({{"a", at::ones({2, 6}, at::kInt), up}}, "adapter.down: expected dense floating-point");
  refuses(AdapterWeights((1 << 14) + 1, {"a", at::ones({1, 1}), at::ones({1, 1})}),
          "adapters: expected at most 16384 low-rank weights, got 16385");
}

}  // namespace lv::services
