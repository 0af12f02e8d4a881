#include "services/tasks/ask_service.h"

#include <grpcpp/channel.h>

#include "longview/v1/ask.grpc.pb.h"
#include "services/codec/codec.h"
#include "services/codec/utf8.h"
#include "services/rpc/handle.h"
#include "services/tasks/task_stream.h"

namespace lv::services {
namespace {

void to_proto(const AskRequest& request, v1::AskOptions* message) {
  message->set_question(valid_utf8(request.question));
  for (const CompressionSpec& spec : request.compression) {
    services::to_proto(spec, message->add_compression());
  }
  services::to_proto(request.options, message->mutable_generation());
  message->set_audio(request.listen);
  message->set_screen_text(request.read);
  message->set_text_tokens(request.text_tokens);
}

AskRequest from_proto(const v1::AskOptions& message) {
  AskRequest request;
  request.question = message.question();
  for (const v1::CompressionSpec& spec : message.compression()) {
    request.compression.push_back(services::from_proto(spec));
  }
  if (message.has_generation()) request.options = services::from_proto(message.generation());
  request.listen = !message.has_audio() || message.audio();
  request.read = !message.has_screen_text() || message.screen_text();
  if (message.has_text_tokens()) request.text_tokens = message.text_tokens();
  return request;
}

using AskStream = grpc::ServerReaderWriter<v1::CaptionEvent, v1::AskRequest>;

class AskService : public v1::Ask::Service {
 public:
  AskService(std::shared_ptr<const Asker> asker, std::shared_ptr<CallGate> gate)
      : asker_(std::move(asker)), gate_(std::move(gate)) {}

  grpc::Status Run(grpc::ServerContext* context, AskStream* stream) override {
    return handle(context, *gate_, [&] {
      const ReadMessage<v1::AskRequest> read = [stream](auto* m) { return stream->Read(m); };
      const EventWriter events([stream](const auto& event) { return stream->Write(event); });
      AskRequest request = from_proto(read_options(read, "ask").options());
      check_generation(request.options, gate_->limits());
      request.sources = read_sources(read, "ask", gate_->limits().media);
      events.result(asker_->ask(request, events.observer()));
    });
  }

 private:
  std::shared_ptr<const Asker> asker_;
  std::shared_ptr<CallGate> gate_;
};

}  // namespace

HostedService ask_service(std::shared_ptr<const Asker> asker, std::shared_ptr<CallGate> gate) {
  return {v1::Ask::service_full_name(),
          std::make_shared<AskService>(std::move(asker), std::move(gate))};
}

TaskResult remote_ask(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                      const AskRequest& request, const TaskObserver& observer,
                      std::chrono::milliseconds deadline) {
  v1::AskRequest options;
  to_proto(request, options.mutable_options());
  return call_task(*v1::Ask::NewStub(std::move(channel)), options, request.sources, observer,
                   "ask at " + address, deadline);
}

}  // namespace lv::services
