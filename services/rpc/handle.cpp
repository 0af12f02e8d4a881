#include "services/rpc/handle.h"

#include <c10/core/InferenceMode.h>
#include <grpcpp/server_context.h>

#include <chrono>

#include "pipeline/base/error.h"
#include "services/rpc/status.h"

namespace lv::services {
namespace {

constexpr std::chrono::milliseconds kWatchStep{20};

}  // namespace

grpc::Status handle(grpc::ServerContext* context, CallGate& gate,
                    const std::function<void()>& body) {
  const c10::InferenceMode no_autograd;
  try {
    const CallGate::Pass pass = gate.enter();
    body();
    return grpc::Status::OK;
  } catch (...) {
    context->AddTrailingMetadata(kStageErrorKey, "1");
    return to_status(std::current_exception());
  }
}

CancelWatch::CancelWatch(const grpc::ServerContext& context)
    : watcher_([this, &context] {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, kWatchStep, [this] { return stopped_; })) {
          if (context.IsCancelled()) *cancelled_ = true;
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

void check_not_cancelled(const grpc::ServerContext& context) {
  check(!context.IsCancelled(), ErrorCode::kCancelled, "the call was cancelled");
}

}  // namespace lv::services
