#include "services/rpc/call_gate.h"

#include <string>

#include "pipeline/base/error.h"

namespace lv::services {

CallGate::Pass CallGate::enter() {
  if (++running_ > limits_.max_calls) {
    --running_;
    throw Error(ErrorCode::kResourceExhausted, "server: busy with " +
                                                   std::to_string(limits_.max_calls) +
                                                   " calls, the most it takes; try again later");
  }
  return Pass(running_);
}

}  // namespace lv::services
