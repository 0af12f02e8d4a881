#pragma once

#include <functional>

#include "services/rpc/call_gate.h"

namespace grpc {
class ServerContext;
class Status;
}  // namespace grpc

namespace lv::services {

/// Runs one call on this thread: passes the gate, turns what `body` throws into the call's status,
/// and lets check_cancelled() hear that the client went away or its deadline passed. Every handler
/// runs inside it; left to itself gRPC answers UNKNOWN and the cause is lost.
grpc::Status handle(grpc::ServerContext* context, CallGate& gate,
                    const std::function<void()>& body);

}  // namespace lv::services
