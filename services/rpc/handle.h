#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "services/rpc/call_gate.h"

namespace grpc {
class ServerContext;
class Status;
}  // namespace grpc

namespace lv::services {

/// Runs one call on this thread: passes the gate, turns what `body` throws into the call's status.
/// Every handler runs inside it; left to itself gRPC answers UNKNOWN and the cause is lost.
grpc::Status handle(grpc::ServerContext* context, CallGate& gate,
                    const std::function<void()>& body);

/// A flag that turns true soon after a call was cancelled, for work that looks at it within one
/// pull. Watches on a thread of its own; the call must outlive it.
class CancelWatch {
 public:
  explicit CancelWatch(const grpc::ServerContext& context);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  std::shared_ptr<const std::atomic<bool>> flag() const { return cancelled_; }

 private:
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::thread watcher_;  // last: it starts when everything else stands
};

/// Throws kCancelled if the client went away or its deadline passed. Called between pulls.
void check_not_cancelled(const grpc::ServerContext& context);

}  // namespace lv::services
