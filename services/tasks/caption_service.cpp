#include "services/tasks/caption_service.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <map>

#include "longview/v1/caption.grpc.pb.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "services/codec/codec.h"
#include "services/codec/upload.h"
#include "services/rpc/handle.h"
#include "services/rpc/status.h"
#include "services/tasks/result_codec.h"

namespace lv::services {
namespace {

/// Stages as the wire names them, by the names that observers are told.
const std::map<std::string_view, v1::PipelineStage>& stages_on_the_wire() {
  static const std::map<std::string_view, v1::PipelineStage> all = {
      {"decode", v1::PIPELINE_STAGE_DECODE},     {"listen", v1::PIPELINE_STAGE_LISTEN},
      {"encode", v1::PIPELINE_STAGE_ENCODE},     {"compress", v1::PIPELINE_STAGE_COMPRESS},
      {"generate", v1::PIPELINE_STAGE_GENERATE},
  };
  return all;
}

void to_proto(const CaptionRequest& request, v1::CaptionOptions* message) {
  for (const CompressionSpec& spec : request.compression) {
    services::to_proto(spec, message->add_compression());
  }
  message->set_prompt(request.prompt);
  services::to_proto(request.options, message->mutable_generation());
  message->set_audio(request.listen);
  message->set_screen_text(request.read);
}

CaptionRequest from_proto(const v1::CaptionOptions& message) {
  CaptionRequest request;
  for (const v1::CompressionSpec& spec : message.compression()) {
    request.compression.push_back(services::from_proto(spec));
  }
  request.prompt = message.prompt();
  if (message.has_generation()) request.options = services::from_proto(message.generation());
  request.listen = !message.has_audio() || message.audio();
  request.read = !message.has_screen_text() || message.screen_text();
  return request;
}

using CaptionStream = grpc::ServerReaderWriter<v1::CaptionEvent, v1::CaptionRequest>;

/// One call on the server's side.
class CaptionCall {
 public:
  CaptionCall(const Captioner& captioner, CaptionStream* stream, const ServingLimits& limits)
      : captioner_(captioner), stream_(stream), limits_(limits) {}

  void run() {
    const CaptionRequest request = read_request();
    TaskObserver observer;
    observer.progress = [this](std::string_view stage, double share) {
      tell_progress(stage, share);
    };
    observer.text = [this](const std::string& text) {
      v1::CaptionEvent event;
      event.set_text(text);
      write(event);
    };
    const TaskResult result = captioner_.caption(request, observer);
    v1::CaptionEvent event;
    services::to_proto(result, event.mutable_result());
    write(event);
  }

 private:
  CaptionRequest read_request() {
    v1::CaptionRequest message;
    check(stream_->Read(&message) && message.has_options(), ErrorCode::kInvalidArgument,
          "caption: expected options as the first message, got none");
    CaptionRequest request = from_proto(message.options());
    check(request.options.max_tokens <= limits_.max_generated_tokens, ErrorCode::kInvalidArgument,
          "max_tokens: expected at most " + std::to_string(limits_.max_generated_tokens));
    const ReadMessage<v1::MediaChunk> read = [this](v1::MediaChunk* chunk) {
      v1::CaptionRequest next;
      if (!stream_->Read(&next)) return false;
      check(next.has_media(), ErrorCode::kInvalidArgument,
            "caption: expected a file after the options, got something else");
      *chunk = std::move(*next.mutable_media());
      return true;
    };
    while (auto source = receive_media(read, limits_.media))
      request.sources.push_back(std::move(*source));
    return request;
  }

  void tell_progress(std::string_view stage, double share) {
    v1::CaptionEvent event;
    const auto known = stages_on_the_wire().find(stage);
    if (known == stages_on_the_wire().end()) return;
    event.mutable_progress()->set_stage(known->second);
    event.mutable_progress()->set_done(share);
    event.mutable_progress()->set_total(1);
    write(event);
  }

  void write(const v1::CaptionEvent& event) {
    check_cancelled();
    check(stream_->Write(event), ErrorCode::kCancelled, "the client stopped reading");
  }

  const Captioner& captioner_;
  CaptionStream* stream_;
  const ServingLimits& limits_;
};

class CaptionService : public v1::Caption::Service {
 public:
  CaptionService(std::shared_ptr<const Captioner> captioner, std::shared_ptr<CallGate> gate)
      : captioner_(std::move(captioner)), gate_(std::move(gate)) {}

  grpc::Status Run(grpc::ServerContext* context, CaptionStream* stream) override {
    return handle(context, *gate_,
                  [&] { CaptionCall(*captioner_, stream, gate_->limits()).run(); });
  }

 private:
  std::shared_ptr<const Captioner> captioner_;
  std::shared_ptr<CallGate> gate_;
};

std::string_view name_of(v1::PipelineStage stage) {
  for (const auto& [name, value] : stages_on_the_wire()) {
    if (value == stage) return name;
  }
  return "";
}

/// Writes the options and every file. Stops when the other side does.
void send_request(const CaptionRequest& request,
                  grpc::ClientReaderWriterInterface<v1::CaptionRequest, v1::CaptionEvent>& stream) {
  v1::CaptionRequest message;
  to_proto(request, message.mutable_options());
  bool open = stream.Write(message);
  const WriteMessage<v1::MediaChunk> write = [&stream](const v1::MediaChunk& chunk) {
    v1::CaptionRequest part;
    *part.mutable_media() = chunk;
    return stream.Write(part);
  };
  for (size_t i = 0; open && i < request.sources.size(); ++i)
    open = send_media(request.sources[i], write);
  stream.WritesDone();
}

}  // namespace

HostedService caption_service(std::shared_ptr<const Captioner> captioner,
                              std::shared_ptr<CallGate> gate) {
  return {v1::Caption::service_full_name(),
          std::make_shared<CaptionService>(std::move(captioner), std::move(gate))};
}

TaskResult remote_caption(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                          const CaptionRequest& request, const TaskObserver& observer,
                          std::chrono::milliseconds deadline) {
  const auto stub = v1::Caption::NewStub(std::move(channel));
  grpc::ClientContext context;
  if (deadline.count() > 0) context.set_deadline(std::chrono::system_clock::now() + deadline);
  const auto stream = stub->Run(&context);
  try {
    send_request(request, *stream);
  } catch (...) {
    context.TryCancel();
    stream->Finish();
    throw;
  }
  std::optional<TaskResult> result;
  v1::CaptionEvent event;
  while (stream->Read(&event)) {
    if (event.has_progress() && observer.progress) {
      observer.progress(name_of(event.progress().stage()), event.progress().done());
    }
    if (event.event_case() == v1::CaptionEvent::kText && observer.text) observer.text(event.text());
    if (event.has_result()) result = services::from_proto(event.result());
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) {
    const bool stage_error = context.GetServerTrailingMetadata().contains(kStageErrorKey);
    throw to_error(status, stage_error, {"caption at " + address, deadline});
  }
  check(result.has_value(), ErrorCode::kInternal,
        "caption at " + address + ": expected a result, got none");
  return std::move(*result);
}

}  // namespace lv::services
