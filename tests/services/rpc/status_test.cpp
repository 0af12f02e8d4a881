#include "services/rpc/status.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <new>

namespace lv::services {
namespace {

template <class Function>
grpc::Status status_of(const Function& function) {
  try {
    function();
  } catch (...) {
    return to_status(std::current_exception());
  }
  return grpc::Status::OK;
}

TEST_CASE("an error keeps its code and text over the wire") {
  for (int code = 1; code <= 16; ++code) {
    const Error error(static_cast<ErrorCode>(code), "decode: expected a, got b");
    const grpc::Status status = status_of([&] { throw error; });
    CHECK(status.error_code() == code);
    const Error back = to_error(status, true, {"decode at x", std::chrono::milliseconds(0)});
    if (back.code() == ErrorCode::kUnavailable && code == 1) continue;
    CHECK(back.code() == error.code());
    CHECK(std::string(back.what()) == error.what());
  }
}

TEST_CASE("a cancellation that came from the far side is told as such") {
  const Error error = to_error({grpc::StatusCode::CANCELLED, "x"}, true, {"decode at x"});
  CHECK(error.code() == ErrorCode::kUnavailable);
  CHECK(std::string(error.what()) == "decode at x: the other side cancelled the call");
}

TEST_CASE("an error of LibTorch is one line without paths and backtrace") {
  const grpc::Status status = status_of([] { at::ones({2, 3}).matmul(at::ones({2, 3})); });
  CHECK(status.error_code() == grpc::StatusCode::INTERNAL);
  CHECK_THAT(status.error_message(), Catch::Contains("shapes cannot be multiplied"));
  CHECK(status.error_message().find('\n') == std::string::npos);
  CHECK(status.error_message().find(".cpp") == std::string::npos);

  const grpc::Status bug = status_of([] { TORCH_INTERNAL_ASSERT(false, "told why"); });
  CHECK_THAT(bug.error_message(), Catch::Contains("INTERNAL ASSERT FAILED"));
  CHECK(bug.error_message().find(".cpp") == std::string::npos);
}

TEST_CASE("no memory is RESOURCE_EXHAUSTED, anything else INTERNAL") {
  CHECK(status_of([] { throw std::bad_alloc(); }).error_code() ==
        grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(status_of([] { throw std::out_of_range("at"); }).error_message() == "at");
  CHECK(status_of([] { throw 5; }).error_code() == grpc::StatusCode::UNKNOWN);
}

TEST_CASE("a long text is cut so that it fits a status") {
  const grpc::Status status =
      status_of([] { throw Error(ErrorCode::kInternal, std::string(100'000, '\xFF')); });
  CHECK(status.error_message().size() < 8000);
}

}  // namespace
}  // namespace lv::services
