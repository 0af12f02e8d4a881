#pragma once

#include <c10/core/InferenceMode.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "pipeline/base/cancellation.h"
#include "pipeline/stage/stage.h"
#include "services/rpc/cancel_watch.h"
#include "services/rpc/status.h"
#include "services/rpc/wire.h"

// Includes gRPC: for the sources that open calls, not for other headers.

namespace lv::services {

/// `InWire` says how the input travels.
template <class Out, class InWire>
using ClientStream =
    grpc::ClientReaderWriterInterface<typename InWire::Message, typename Wire<Out>::Message>;

/// Where a stage is and how a call of it is opened.
template <class Out, class InWire>
struct RemoteCall {
  std::string who;  // starts the text of errors of the way, e.g. "encode at gpu1:50051"
  std::function<std::unique_ptr<ClientStream<Out, InWire>>(grpc::ClientContext*)> open;
  std::function<bool(ClientStream<Out, InWire>&)> preface;  // written first; may be empty
  std::chrono::milliseconds deadline{0};                    // of a whole call; 0 is none
};

/// What a far stage yields. The input is pulled and sent on a thread of its own, from the first
/// next() on, at the pace at which the far stage reads. Not thread-safe.
///
/// An exception of the input comes out of next() after the values that were made before it; one of
/// the far stage is the same lv::Error as here. Destroying the source cancels the call, and so does
/// the Cancellation of the thread that made it.
template <class In, class Out, class InWire>
class RemoteSource : public Source<Out> {
 public:
  RemoteSource(std::shared_ptr<const RemoteCall<Out, InWire>> call, SourcePtr<In> input)
      : call_(std::move(call)), input_(std::move(input)) {
    if (call_->deadline.count() > 0) {
      context_.set_deadline(std::chrono::system_clock::now() + call_->deadline);
    }
    stream_ = call_->open(&context_);
    if (wanted_) watch_.emplace(wanted_, [this] { context_.TryCancel(); });
  }

  ~RemoteSource() override {
    if (ended_) return;
    context_.TryCancel();
    stop_writing();
    stream_->Finish();
  }

  std::optional<Out> next() override {
    if (!ended_) {
      if (!writer_.joinable()) writer_ = std::thread([this] { write_input(); });
      auto value =
          Wire<Out>::receive([this](auto* message) { return stream_->Read(message); }, limits_);
      if (value) return value;
      finish();
    }
    if (problem_) std::rethrow_exception(problem_);
    return std::nullopt;
  }

 private:
  void write_input() {
    const c10::InferenceMode no_autograd;
    const CancelScope scope(wanted_.with([this] { return stopped_.load(); }));
    try {
      bool open = !call_->preface || call_->preface(*stream_);
      while (open && !stopped_) {
        const std::optional<In> value = input_->next();
        if (!value) break;
        open = InWire::send(
            *value, [this](const auto& message) { return !stopped_ && stream_->Write(message); });
      }
    } catch (...) {
      input_problem_ = std::current_exception();
    }
    if (!stopped_) stream_->WritesDone();
  }

  void stop_writing() {
    stopped_ = true;
    if (writer_.joinable()) writer_.join();
  }

  void finish() {
    stop_writing();
    const grpc::Status status = stream_->Finish();
    ended_ = true;
    if (wanted_.requested()) {
      problem_ = std::make_exception_ptr(
          Error(ErrorCode::kCancelled, call_->who + ": the request was cancelled"));
    } else if (input_problem_) {
      problem_ = input_problem_;
    } else if (!status.ok()) {
      const auto& trailers = context_.GetServerTrailingMetadata();
      const bool stage_error = trailers.find(kStageErrorKey) != trailers.end();
      problem_ =
          std::make_exception_ptr(to_error(status, stage_error, {call_->who, call_->deadline}));
    }
  }

  std::shared_ptr<const RemoteCall<Out, InWire>> call_;
  const ServingLimits limits_;  // not used by what a stage yields
  SourcePtr<In> input_;
  const Cancellation wanted_ = Cancellation::current();
  grpc::ClientContext context_;
  std::unique_ptr<ClientStream<Out, InWire>> stream_;  // after the context that it uses
  std::atomic<bool> stopped_{false};
  bool ended_ = false;
  std::exception_ptr input_problem_;  // written by the writer, read after it was joined
  std::exception_ptr problem_;
  std::thread writer_;
  std::optional<CancelWatch> watch_;  // last: it goes before what it cancels
};

/// A stage in another process. start() opens a call; a caller cannot tell it from a local stage.
/// Immutable.
template <class In, class Out, class InWire = Wire<In>>
class RemoteStage : public Stage<In, Out> {
 public:
  explicit RemoteStage(RemoteCall<Out, InWire> call)
      : call_(std::make_shared<const RemoteCall<Out, InWire>>(std::move(call))) {}

  SourcePtr<Out> start(SourcePtr<In> input) const override {
    return std::make_unique<RemoteSource<In, Out, InWire>>(call_, std::move(input));
  }

 private:
  std::shared_ptr<const RemoteCall<Out, InWire>> call_;
};

}  // namespace lv::services
