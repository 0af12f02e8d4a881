#pragma once

#include <c10/core/InferenceMode.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/stage.h"

namespace lv {

/// `upstream` pulled on a thread of its own, at most `capacity` values ahead of the consumer.
///
/// Order is kept. An exception of the producer comes out of next() after the values before it, and
/// again at each later call. Destroying the source stops the producer, also within the value that
/// it is making if that work asks check_cancelled(), and joins its thread. The producer hears of
/// cancellation as the thread that made this does. This is the only place where a value changes
/// threads.
template <class T>
SourcePtr<T> buffered(SourcePtr<T> upstream, size_t capacity) {
  class Buffered : public Source<T> {
   public:
    Buffered(SourcePtr<T> source, size_t limit) : upstream_(std::move(source)), limit_(limit) {
      producer_ = std::thread([this, wanted = Cancellation::current()] {
        const CancelScope scope(wanted.with([this] { return stopped_.load(); }));
        produce();
      });
    }

    ~Buffered() override {
      {
        std::lock_guard lock(mutex_);
        stopped_ = true;
      }
      has_room_.notify_all();
      producer_.join();
    }

    std::optional<T> next() override {
      std::unique_lock lock(mutex_);
      has_value_.wait(lock, [this] { return !queue_.empty() || ended_; });
      if (queue_.empty()) {
        if (problem_) std::rethrow_exception(problem_);
        return std::nullopt;
      }
      T value = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      has_room_.notify_one();
      return value;
    }

   private:
    void produce() {
      c10::InferenceMode no_autograd;
      try {
        while (wait_for_room()) {
          std::optional<T> value = upstream_->next();
          if (!value) break;
          push(std::move(*value));
        }
      } catch (...) {
        problem_ = std::current_exception();
      }
      {
        std::lock_guard lock(mutex_);
        ended_ = true;
      }
      has_value_.notify_all();
    }

    bool wait_for_room() {
      std::unique_lock lock(mutex_);
      has_room_.wait(lock, [this] { return queue_.size() < limit_ || stopped_; });
      return !stopped_;
    }

    void push(T value) {
      {
        std::lock_guard lock(mutex_);
        queue_.push_back(std::move(value));
      }
      has_value_.notify_one();
    }

    SourcePtr<T> upstream_;
    const size_t limit_;
    std::mutex mutex_;
    std::condition_variable has_value_, has_room_;
    std::deque<T> queue_;
    std::exception_ptr problem_;  // written before ended_, read after it
    bool ended_ = false;
    std::atomic<bool> stopped_{false};
    std::thread producer_;
  };
  check(capacity > 0, ErrorCode::kInvalidArgument,
        "buffered: expected a capacity of at least 1, got 0");
  return std::make_unique<Buffered>(std::move(upstream), capacity);
}

}  // namespace lv
