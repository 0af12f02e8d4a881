#include "services/rpc/handle.h"

#include <c10/core/InferenceMode.h>
#include <grpcpp/server_context.h>

#include "pipeline/base/cancellation.h"
#include "services/rpc/status.h"

namespace lv::services {

grpc::Status handle(grpc::ServerContext* context, CallGate& gate,
                    const std::function<void()>& body) {
  const c10::InferenceMode no_autograd;
  const CancelScope scope(Cancellation().with([context] { return context->IsCancelled(); }));
  try {
    const CallGate::Pass pass = gate.enter();
    body();
    return grpc::Status::OK;
  } catch (...) {
    context->AddTrailingMetadata(kStageErrorKey, "1");
    return to_status(std::current_exception());
  }
}

}  // namespace lv::services
