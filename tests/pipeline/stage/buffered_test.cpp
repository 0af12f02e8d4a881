#include "pipeline/stage/buffered.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "pipeline/stage/sources.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

using namespace std::chrono_literals;

/// Counts from 0 to `end` - 1 and says how far it has come; then throws if it is asked to.
class Counting : public Source<int> {
 public:
  Counting(int end, std::atomic<int>& made, bool throws = false)
      : end_(end), made_(made), throws_(throws) {}
  std::optional<int> next() override {
    const int value = made_;
    if (value == end_) {
      if (throws_) throw Error(ErrorCode::kDataLoss, "broken at the end");
      return std::nullopt;
    }
    ++made_;
    return value;
  }

 private:
  int end_;
  std::atomic<int>& made_;
  bool throws_;
};

/// Values that can only be moved.
class Boxes : public Source<std::unique_ptr<int>> {
 public:
  std::optional<std::unique_ptr<int>> next() override {
    if (count_ == 3) return std::nullopt;
    return std::make_unique<int>(count_++);
  }

 private:
  int count_ = 0;
};

/// Waits until the producer stands still.
int settled(const std::atomic<int>& made) {
  int before = -1;
  while (before != made) {
    before = made;
    std::this_thread::sleep_for(50ms);
  }
  return before;
}

}  // namespace

TEST_CASE("buffered keeps the order and ends for good") {
  std::atomic<int> made = 0;
  const size_t capacity = GENERATE(1, 2, 7, 1000);
  const auto source = buffered<int>(std::make_unique<Counting>(200, made), capacity);
  const auto values = collect(*source);
  REQUIRE(values.size() == 200);
  for (int i = 0; i < 200; ++i) REQUIRE(values[static_cast<size_t>(i)] == i);
  CHECK_FALSE(source->next().has_value());
  CHECK_FALSE(source->next().has_value());
}

TEST_CASE("buffered runs ahead by its capacity and no further") {
  std::atomic<int> made = 0;
  const auto source = buffered<int>(std::make_unique<Counting>(1000, made), 3);
  CHECK(settled(made) == 3);
  source->next();
  CHECK(settled(made) == 4);
  source->next();
  source->next();
  CHECK(settled(made) == 6);
}

TEST_CASE("buffered hands an exception over after the values before it, and again") {
  std::atomic<int> made = 0;
  const auto source = buffered<int>(std::make_unique<Counting>(2, made, true), 8);
  settled(made);
  CHECK(source->next() == 0);
  CHECK(source->next() == 1);
  CHECK_THROWS_MATCHES(source->next(), Error, IsError(ErrorCode::kDataLoss, "broken at the end"));
  CHECK_THROWS_MATCHES(source->next(), Error, IsError(ErrorCode::kDataLoss, "broken at the end"));
}

TEST_CASE("buffered that is destroyed half-way stops its producer") {
  std::atomic<int> made = 0;
  const auto start = std::chrono::steady_clock::now();
  {
    const auto source = buffered<int>(std::make_unique<Counting>(1 << 30, made), 4);
    CHECK(source->next() == 0);
  }
  CHECK(made <= 6);
  CHECK(std::chrono::steady_clock::now() - start < 5s);  // a hang, not a slow machine
}

TEST_CASE("buffered that is destroyed unread joins a producer that waits or has ended") {
  std::atomic<int> made = 0;
  const int end = GENERATE(0, 1, 100);
  buffered<int>(std::make_unique<Counting>(end, made), 2);
  CHECK(made <= 3);
}

TEST_CASE("buffered moves values that cannot be copied") {
  const auto source = buffered<std::unique_ptr<int>>(std::make_unique<Boxes>(), 1);
  const auto values = collect(*source);
  REQUIRE(values.size() == 3);
  CHECK(*values[2] == 2);
}

TEST_CASE("buffered refuses a capacity of none") {
  CHECK_THROWS_MATCHES(buffered<int>(source_of<int>({1}), 0), Error,
                       IsError(ErrorCode::kInvalidArgument, "capacity of at least 1"));
}

TEST_CASE("chains of buffered sources survive being read and dropped at any moment") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> made = 0;
    const bool throws = round % 3 == 0;
    auto inner = buffered<int>(std::make_unique<Counting>(20, made, throws), 1 + round % 4);
    const auto outer = buffered<int>(std::move(inner), 1 + round % 3);
    const int reads = round % 22;
    int got = 0;
    try {
      for (int i = 0; i < reads; ++i) {
        const auto value = outer->next();
        if (!value) break;
        REQUIRE(*value == got);
        ++got;
      }
    } catch (const Error& problem) {
      REQUIRE(problem.code() == ErrorCode::kDataLoss);
      REQUIRE(throws);
    }
    REQUIRE(got == std::min(reads, 20));
  }
}

}  // namespace lv
