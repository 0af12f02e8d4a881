#include "pipeline/kernels/crew.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lv {
namespace {

constexpr std::chrono::microseconds kLookOut{100};
constexpr int kLooksBetweenTimes = 16;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

thread_local bool within_task = false;

/// Rounds of tasks, one after the other. round_ is odd while one is open; what belongs to a round
/// is written while none is, and nobody is inside.
class Crew {
 public:
  ~Crew() {
    stopped_ = true;
    round_ += 2;
    round_.notify_all();
    for (std::thread& thread : helpers_) thread.join();
  }

  /// False if another caller has the crew.
  bool run(int64_t tasks, int64_t threads, const std::function<void(int64_t)>& work) {
    const std::unique_lock lock(callers_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    while (static_cast<int64_t>(helpers_.size()) < threads - 1) {
      const auto number = static_cast<int64_t>(helpers_.size());
      helpers_.emplace_back([this, number, seen = round_.load()] { help(number, seen); });
    }
    work_ = &work;
    tasks_ = tasks;
    helping_ = threads - 1;
    next_ = 0;
    ++round_;
    round_.notify_all();
    take();
    ++round_;
    while (inside_ > 0) pause();
    return true;
  }

 private:
  void take() {
    within_task = true;
    for (int64_t task = next_++; task < tasks_; task = next_++) (*work_)(task);
    within_task = false;
  }

  void help(int64_t number, int32_t seen) {
    while (!stopped_) {
      seen = await_other_than(seen);
      // Whoever is inside before the round closes is waited for; whoever comes later sees it
      // closed.
      ++inside_;
      if (round_ % 2 != 0 && number < helping_) take();
      --inside_;
    }
  }

  int32_t await_other_than(int32_t seen) const {
    const auto until = std::chrono::steady_clock::now() + kLookOut;
    do {
      for (int i = 0; i < kLooksBetweenTimes; ++i, pause()) {
        const int32_t now = round_;
        if (now != seen) return now;
      }
    } while (std::chrono::steady_clock::now() < until);
    round_.wait(seen);
    return round_;
  }

  std::mutex callers_;
  std::vector<std::thread> helpers_;
  const std::function<void(int64_t)>* work_ = nullptr;
  int64_t tasks_ = 0;
  int64_t helping_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int32_t> round_{0};
  std::atomic<int32_t> inside_{0};
  std::atomic<bool> stopped_{false};
};

}  // namespace

void share_tasks(int64_t tasks, int64_t threads, const std::function<void(int64_t)>& work) {
  static Crew crew;
  if (tasks > 1 && threads > 1 && !within_task && crew.run(tasks, threads, work)) return;
  for (int64_t task = 0; task < tasks; ++task) work(task);
}

}  // namespace lv
