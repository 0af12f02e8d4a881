#include "services/tasks/stage_clock.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "pipeline/stage/sources.h"

namespace lv::services {
namespace {

void busy(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

/// Pulls from another source, after work of its own.
class Slow : public Source<int> {
 public:
  Slow(SourcePtr<int> inner, int milliseconds)
      : inner_(std::move(inner)), milliseconds_(milliseconds) {}
  std::optional<int> next() override {
    busy(milliseconds_);
    return inner_->next();
  }

 private:
  SourcePtr<int> inner_;
  int milliseconds_;
};

TEST_CASE("a stage's clock stops while the stage that it pulls from works") {
  StageClock clock;
  double inner = 0;
  double outer = 0;
  auto first = timed<int>(std::make_unique<Slow>(source_of_one(1), 30), clock, inner);
  auto second = timed<int>(std::make_unique<Slow>(std::move(first), 10), clock, outer);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(second->next() == 1);
  const double total =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  CHECK(inner >= 30);
  CHECK(outer >= 10);
  CHECK(inner + outer == Approx(total).margin(1));
}

TEST_CASE("a clock's span ends when an exception passes it") {
  StageClock clock;
  double slot = 0;
  try {
    StageClock::Span span(clock, slot);
    busy(5);
    throw 1;
  } catch (int) {
    const double at_throw = slot;
    busy(5);
    CHECK(at_throw >= 5);
    CHECK(slot == at_throw);
  }
}

}  // namespace
}  // namespace lv::services
