#pragma once

#include <atomic>

#include "services/rpc/serving_limits.h"

namespace lv::services {

/// What all calls of one server pass: it knows the ceilings and counts the calls that run.
/// Thread-safe.
class CallGate {
 public:
  explicit CallGate(ServingLimits limits = {}) : limits_(limits) {}

  /// A call that runs until this goes.
  class Pass {
   public:
    explicit Pass(std::atomic<int>& running) : running_(running) {}
    ~Pass() { --running_; }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    std::atomic<int>& running_;
  };

  /// Throws kResourceExhausted if max_calls run already.
  Pass enter();

  const ServingLimits& limits() const { return limits_; }
  int running() const { return running_; }

 private:
  const ServingLimits limits_;
  std::atomic<int> running_{0};
};

}  // namespace lv::services
