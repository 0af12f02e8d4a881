#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "pipeline/stage/stage.h"

namespace lv::services {

/// Adds up the time spent in each stage of a pull pipeline. Of the stages that are at work, the one
/// that began last has the clock: a stage that pulls from another waits meanwhile, so no moment
/// counts twice. Thread-safe: the input of a remote stage is pulled on a thread of its own.
class StageClock {
 public:
  /// Counts for `slot` (milliseconds) until it is destroyed, except while a later span lives.
  class Span {
   public:
    Span(StageClock& clock, double& slot) : clock_(clock), slot_(&slot) { clock_.enter(slot_); }
    ~Span() { clock_.leave(slot_); }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    StageClock& clock_;
    double* slot_;
  };

 private:
  void enter(double* slot) {
    std::lock_guard lock(mutex_);
    count();
    at_work_.push_back(slot);
  }

  void leave(double* slot) {
    std::lock_guard lock(mutex_);
    count();
    at_work_.erase(std::next(std::find(at_work_.rbegin(), at_work_.rend(), slot)).base());
  }

  void count() {
    const auto now = std::chrono::steady_clock::now();
    if (!at_work_.empty()) {
      *at_work_.back() += std::chrono::duration<double, std::milli>(now - since_).count();
    }
    since_ = now;
  }

  std::mutex mutex_;
  std::vector<double*> at_work_;  // in the order in which they began
  std::chrono::steady_clock::time_point since_;
};

/// `source`, with the time of each next() added to `slot`. Clock and slot outlive it.
template <class T>
SourcePtr<T> timed(SourcePtr<T> source, StageClock& clock, double& slot) {
  class Timed : public Source<T> {
   public:
    Timed(SourcePtr<T> inner, StageClock& owner, double& time)
        : inner_(std::move(inner)), clock_(owner), slot_(time) {}
    std::optional<T> next() override {
      StageClock::Span span(clock_, slot_);
      return inner_->next();
    }

   private:
    SourcePtr<T> inner_;
    StageClock& clock_;
    double& slot_;
  };
  return std::make_unique<Timed>(std::move(source), clock, slot);
}

}  // namespace lv::services
