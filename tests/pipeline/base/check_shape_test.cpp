#include "pipeline/base/check_shape.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/is_error.h"

namespace lv {

TEST_CASE("check_shape accepts any size for -1 and names what differs") {
  const at::Tensor x = at::zeros({8, 3});
  CHECK_NOTHROW(check_shape(x, "x", {8, 3}));
  CHECK_NOTHROW(check_shape(x, "x", {-1, 3}));
  CHECK_NOTHROW(check_shape(at::zeros({}), "x", {}));
  CHECK_THROWS_MATCHES(check_shape(x, "frames", {-1, 4}), Error,
                       IsError(ErrorCode::kInvalidArgument, "frames: expected [*, 4], got [8, 3]"));
  CHECK_THROWS_MATCHES(check_shape(x, "x", {8}), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected [8], got [8, 3]"));
  CHECK_THROWS_MATCHES(check_shape(at::Tensor(), "x", {8}), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected [8], got no tensor"));
}

TEST_CASE("check_dtype names the type that it got") {
  CHECK_NOTHROW(check_dtype(at::zeros({1}), "x", at::kFloat));
  CHECK_THROWS_MATCHES(check_dtype(at::zeros({1}), "x", at::kLong), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected Long, got Float"));
  CHECK_THROWS_MATCHES(check_dtype(at::Tensor(), "x", at::kLong), Error,
                       IsError(ErrorCode::kInvalidArgument, "got no tensor"));
}

}  // namespace lv
