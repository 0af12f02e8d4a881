#include "services/tasks/caption_service.h"

#include <grpcpp/channel.h>

#include "longview/v1/caption.grpc.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/codec.h"
#include "services/codec/utf8.h"
#include "services/rpc/handle.h"
#include "services/tasks/task_stream.h"

namespace lv::services {
namespace {

constexpr const char* kRiskTask = "risk";

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

RiskRequest risk_from_proto(const v1::CaptionOptions& message) {
  RiskRequest request;
  for (const v1::CompressionSpec& spec : message.compression()) {
    request.compression.push_back(services::from_proto(spec));
  }
  request.question = message.prompt();
  return request;
}

using CaptionStream = grpc::ServerReaderWriter<v1::CaptionEvent, v1::CaptionRequest>;

class CaptionService : public v1::Caption::Service {
 public:
  CaptionService(std::shared_ptr<const Captioner> captioner,
                 std::shared_ptr<const RiskAssessor> assessor, std::shared_ptr<CallGate> gate)
      : captioner_(std::move(captioner)), assessor_(std::move(assessor)), gate_(std::move(gate)) {}

  grpc::Status Run(grpc::ServerContext* context, CaptionStream* stream) override {
    return handle(context, *gate_, [&] {
      const ReadMessage<v1::CaptionRequest> read = [stream](auto* m) { return stream->Read(m); };
      const EventWriter events([stream](const auto& event) { return stream->Write(event); });
      const v1::CaptionOptions options = read_options(read, "caption").options();
      if (options.task() == kRiskTask) {
        RiskRequest request = risk_from_proto(options);
        request.views = read_sources(read, "risk", gate_->limits().media);
        events.result(assessor_->assess(request, events.observer()));
        return;
      }
      check(options.task().empty() || options.task() == "caption", ErrorCode::kInvalidArgument,
            "task: expected caption or risk, got '" + options.task().substr(0, 100) + "'");
      CaptionRequest request = from_proto(options);
      check_generation(request.options, gate_->limits());
      request.sources = read_sources(read, "caption", gate_->limits().media);
      events.result(captioner_->caption(request, events.observer()));
    });
  }

 private:
  std::shared_ptr<const Captioner> captioner_;
  std::shared_ptr<const RiskAssessor> assessor_;
  std::shared_ptr<CallGate> gate_;
};

}  // namespace

HostedService caption_service(std::shared_ptr<const Captioner> captioner,
                              std::shared_ptr<const RiskAssessor> assessor,
                              std::shared_ptr<CallGate> gate) {
  return {
      v1::Caption::service_full_name(),
      std::make_shared<CaptionService>(std::move(captioner), std::move(assessor), std::move(gate))};
}

TaskResult remote_caption(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                          const CaptionRequest& request, const TaskObserver& observer,
                          std::chrono::milliseconds deadline) {
  v1::CaptionRequest options;
  to_proto(request, options.mutable_options());
  return call_task(*v1::Caption::NewStub(std::move(channel)), options, request.sources, observer,
                   "caption at " + address, deadline);
}

TaskResult remote_risk(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                       const RiskRequest& request, const TaskObserver& observer,
                       std::chrono::milliseconds deadline) {
  v1::CaptionRequest message;
  v1::CaptionOptions* options = message.mutable_options();
  options->set_task(kRiskTask);
  options->set_prompt(valid_utf8(request.question));
  for (const CompressionSpec& spec : request.compression) {
    services::to_proto(spec, options->add_compression());
  }
  return call_task(*v1::Caption::NewStub(std::move(channel)), message, request.views, observer,
                   "risk at " + address, deadline);
}

}  // namespace lv::services
