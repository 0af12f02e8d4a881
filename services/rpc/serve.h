#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>
#include <utility>

#include "pipeline/base/cancellation.h"
#include "pipeline/stage/stage.h"
#include "services/rpc/handle.h"
#include "services/rpc/wire.h"

// Includes gRPC: for the sources that define services, not for other headers.

namespace lv::services {

/// `InWire` says how the input travels.
template <class In, class Out, class InWire = Wire<In>>
using ServerStream =
    grpc::ServerReaderWriter<typename Wire<Out>::Message, typename InWire::Message>;

/// The values that a client sends, read when they are pulled. Not thread-safe. Throws kCancelled
/// once the call is cancelled.
template <class T, class InWire, class Stream>
class ReceivedSource : public Source<T> {
 public:
  ReceivedSource(Stream* stream, const ServingLimits& limits) : stream_(stream), limits_(limits) {}

  std::optional<T> next() override {
    check_cancelled();
    if (ended_) return std::nullopt;
    auto value = InWire::receive([this](auto* message) { return stream_->Read(message); }, limits_);
    if (!value) {
      ended_ = true;
      check_cancelled();
    }
    return value;
  }

 private:
  Stream* stream_;
  const ServingLimits& limits_;
  bool ended_ = false;
};

/// Runs `stage` over what the client sends and writes what it yields, inside handle()'s body.
template <class InWire, class In, class Out>
void run_stage(const Stage<In, Out>& stage, ServerStream<In, Out, InWire>* stream,
               const ServingLimits& limits) {
  using Received = ReceivedSource<In, InWire, ServerStream<In, Out, InWire>>;
  auto source = stage.start(std::make_unique<Received>(stream, limits));
  while (std::optional<Out> value = source->next()) {
    check_cancelled();
    const bool sent =
        Wire<Out>::send(*value, [&](const auto& message) { return stream->Write(message); });
    check(sent, ErrorCode::kCancelled, "the client stopped reading");
    check_cancelled();
  }
}

/// One call of a stage's service, from its first message to its status.
template <class In, class Out>
grpc::Status serve(const Stage<In, Out>& stage, ServerStream<In, Out>* stream,
                   grpc::ServerContext* context, CallGate& gate) {
  return handle(context, gate, [&] { run_stage<Wire<In>>(stage, stream, gate.limits()); });
}

}  // namespace lv::services
