#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "longview/v1/caption.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/upload.h"
#include "services/rpc/serving_limits.h"
#include "services/tasks/task_run.h"

// What the calls of all tasks share. `Message` is a task's request: options first, then media.
namespace lv::services {

/// Writes what a task tells and its result. Throws kCancelled once the client stops reading.
class EventWriter {
 public:
  explicit EventWriter(WriteMessage<v1::CaptionEvent> write) : write_(std::move(write)) {}

  /// Valid as long as this.
  TaskObserver observer() const;
  void result(const TaskResult& result) const;

 private:
  void write(const v1::CaptionEvent& event) const;

  WriteMessage<v1::CaptionEvent> write_;
};

/// The options of a call: its first message. Throws kInvalidArgument if that is something else.
template <class Message>
Message read_options(const ReadMessage<Message>& read, const std::string& task) {
  Message message;
  check(read(&message) && message.has_options(), ErrorCode::kInvalidArgument,
        task + ": expected options as the first message, got none");
  return message;
}

/// The files of a call, which follow its options.
template <class Message>
std::vector<MediaRequest> read_sources(const ReadMessage<Message>& read, const std::string& task,
                                       const MediaLimits& limits) {
  const ReadMessage<v1::MediaChunk> read_chunk = [&](v1::MediaChunk* chunk) {
    Message next;
    if (!read(&next)) return false;
    check(next.has_media(), ErrorCode::kInvalidArgument,
          task + ": expected a file after the options, got something else");
    *chunk = std::move(*next.mutable_media());
    return true;
  };
  std::vector<MediaRequest> sources;
  while (auto source = receive_media(read_chunk, limits)) sources.push_back(std::move(*source));
  return sources;
}

/// Throws kInvalidArgument if more is to be generated than a server allows.
void check_generation(const GenerationOptions& options, const ServingLimits& limits);

/// Reads events to the end of a call. The result, if one came.
std::optional<TaskResult> read_events(const ReadMessage<v1::CaptionEvent>& read,
                                      const TaskObserver& observer);

/// Throws what a call ended with, as if the task ran here; `who` is the task and its address.
void check_ended(const grpc::Status& status, const grpc::ClientContext& context,
                 const std::string& who, std::chrono::milliseconds deadline);

/// A task by a service: `options`, then each of `sources`; `stub` is of that service. Throws what
/// the service answers, as if it ran here.
template <class Message, class Stub>
TaskResult call_task(Stub& stub, const Message& options, const std::vector<MediaRequest>& sources,
                     const TaskObserver& observer, const std::string& who,
                     std::chrono::milliseconds deadline) {
  grpc::ClientContext context;
  if (deadline.count() > 0) context.set_deadline(std::chrono::system_clock::now() + deadline);
  const auto stream = stub.Run(&context);
  try {
    const WriteMessage<v1::MediaChunk> write = [&](const v1::MediaChunk& chunk) {
      Message part;
      *part.mutable_media() = chunk;
      return stream->Write(part);
    };
    bool open = stream->Write(options);  // stops when the other side does
    for (size_t i = 0; open && i < sources.size(); ++i) open = send_media(sources[i], write);
    stream->WritesDone();
  } catch (...) {
    context.TryCancel();
    stream->Finish();
    throw;
  }
  std::optional<TaskResult> result =
      read_events([&](v1::CaptionEvent* event) { return stream->Read(event); }, observer);
  check_ended(stream->Finish(), context, who, deadline);
  check(result.has_value(), ErrorCode::kInternal, who + ": expected a result, got none");
  return std::move(*result);
}

}  // namespace lv::services
