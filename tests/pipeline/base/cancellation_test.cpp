#include "pipeline/base/cancellation.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "pipeline/base/error.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

const auto yes = [] { return true; };
const auto no = [] { return false; };

}  // namespace

TEST_CASE("without a scope nothing is cancelled") {
  CHECK_FALSE(Cancellation::current());
  CHECK_NOTHROW(check_cancelled());
}

TEST_CASE("a scope's answer is heard within it and not after it") {
  {
    const CancelScope scope(Cancellation().with(yes));
    CHECK_THROWS_MATCHES(check_cancelled(), Error,
                         IsError(ErrorCode::kCancelled, "the request was cancelled"));
  }
  CHECK_NOTHROW(check_cancelled());
}

TEST_CASE("an inner scope hears the outer one, unless it starts afresh") {
  const CancelScope outer(Cancellation().with(yes));
  const CancelScope inner(Cancellation::current().with(no));
  CHECK_THROWS_AS(check_cancelled(), Error);
  const CancelScope fresh(Cancellation().with(no));
  CHECK_NOTHROW(check_cancelled());
}

TEST_CASE("a yes stays, and a no is asked again") {
  std::atomic<bool> wanted{true};
  const Cancellation cancellation = Cancellation().with([&] { return !wanted; });
  CHECK_FALSE(cancellation.requested());
  wanted = false;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(cancellation.requested());
  wanted = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(cancellation.requested());
}

TEST_CASE("a scope reaches another thread when it is carried there") {
  const CancelScope scope(Cancellation().with(yes));
  bool alone = true, carried = false;
  std::thread([&, here = Cancellation::current()] {
    alone = Cancellation::current().requested();
    const CancelScope there(here);
    carried = Cancellation::current().requested();
  }).join();
  CHECK_FALSE(alone);
  CHECK(carried);
}

}  // namespace lv
