#include "services/rpc/cancel_watch.h"

#include <chrono>
#include <utility>

namespace lv::services {
namespace {

constexpr std::chrono::milliseconds kStep{20};

}  // namespace

CancelWatch::CancelWatch(Cancellation cancellation, std::function<void()> action)
    : watcher_([this, cancellation = std::move(cancellation), action = std::move(action)] {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, kStep, [this] { return stopped_; })) {
          if (!cancellation.requested()) continue;
          action();
          return;
        }
      }) {}

CancelWatch::~CancelWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake_.notify_all();
  watcher_.join();
}

}  // namespace lv::services
