#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "pipeline/base/cancellation.h"

namespace lv::services {

/// Does something once a request is cancelled, for work that waits where it cannot ask. Watches on
/// a thread of its own until it is destroyed.
class CancelWatch {
 public:
  CancelWatch(Cancellation cancellation, std::function<void()> action);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::thread watcher_;  // last: it starts when everything else stands
};

}  // namespace lv::services
