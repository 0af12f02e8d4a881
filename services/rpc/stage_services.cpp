#include <algorithm>
#include <utility>

#include "longview/v1/stages.grpc.pb.h"
#include "pipeline/base/error.h"
#include "services/rpc/serve.h"
#include "services/rpc/server.h"

namespace lv::services {
namespace {

using grpc::ServerContext;
using Gate = std::shared_ptr<CallGate>;

class DecodeService final : public v1::Decode::Service {
 public:
  DecodeService(const Stages& stages, Gate gate)
      : video_(stages.decode_video), audio_(stages.decode_audio), gate_(std::move(gate)) {}

  grpc::Status Video(ServerContext* context,
                     ServerStream<MediaRequest, FrameBatch>* stream) override {
    return serve(*video_, stream, context, *gate_);
  }
  grpc::Status Audio(ServerContext* context,
                     ServerStream<MediaRequest, AudioChunk>* stream) override {
    return serve(*audio_, stream, context, *gate_);
  }

 private:
  StagePtr<MediaRequest, FrameBatch> video_;
  StagePtr<MediaRequest, AudioChunk> audio_;
  Gate gate_;
};

/// A service whose only method runs one stage.
template <class Base, class In, class Out>
class RunService final : public Base {
 public:
  RunService(StagePtr<In, Out> stage, Gate gate)
      : stage_(std::move(stage)), gate_(std::move(gate)) {}

  grpc::Status Run(ServerContext* context, ServerStream<In, Out>* stream) override {
    return serve(*stage_, stream, context, *gate_);
  }

 private:
  StagePtr<In, Out> stage_;
  Gate gate_;
};

/// A service whose only method runs a stage that the first message plans.
template <class Base, class In, class Out, class InWire>
class PlannedService final : public Base {
 public:
  using Make = std::function<StagePtr<In, Out>(const std::vector<CompressionSpec>&)>;

  PlannedService(std::string name, Make make, Gate gate)
      : name_(std::move(name)), make_(std::move(make)), gate_(std::move(gate)) {}

  grpc::Status Run(ServerContext* context, ServerStream<In, Out, InWire>* stream) override {
    return handle(context, *gate_, [&] {
      typename InWire::Message first;
      if (!stream->Read(&first)) return;
      check(first.has_plan(), ErrorCode::kInvalidArgument, name_ + ": expected a plan first");
      std::vector<CompressionSpec> specs;
      for (const auto& spec : first.plan().methods()) specs.push_back(from_proto(spec));
      run_stage<InWire>(*make_(specs), stream, gate_->limits());
    });
  }

 private:
  std::string name_;
  Make make_;
  Gate gate_;
};

/// The service of one stage, null if the stage is not there.
std::shared_ptr<grpc::Service> service_of(const std::string& name, const Stages& stages,
                                          const Gate& gate) {
  if (name == "decode" && stages.decode_video && stages.decode_audio) {
    return std::make_shared<DecodeService>(stages, gate);
  }
  if (name == "listen" && stages.listen) {
    using Listen = RunService<v1::Listen::Service, AudioChunk, AudioTokens>;
    return std::make_shared<Listen>(stages.listen, gate);
  }
  if (name == "encode" && stages.encode) {
    using Encode = PlannedService<v1::Encode::Service, FrameBatch, VisualTokens, EncodeWire>;
    return std::make_shared<Encode>(name, stages.encode, gate);
  }
  if (name == "compress" && stages.compress) {
    using Compress =
        PlannedService<v1::Compress::Service, ClipTokens, VisualContext, Wire<ClipTokens>>;
    return std::make_shared<Compress>(name, stages.compress, gate);
  }
  if (name == "generate" && stages.generate) {
    using Generate = RunService<v1::Generate::Service, Prompt, TextDelta>;
    return std::make_shared<Generate>(stages.generate, gate);
  }
  return nullptr;
}

std::string full_name(std::string stage) {
  stage[0] = static_cast<char>(stage[0] - 'a' + 'A');
  return "longview.v1." + stage;
}

}  // namespace

std::vector<HostedService> stage_services(const Stages& stages,
                                          const std::vector<std::string>& names,
                                          std::shared_ptr<CallGate> gate) {
  const bool all = std::find(names.begin(), names.end(), "all") != names.end();
  std::vector<HostedService> services;
  for (const std::string& name : all ? stage_names() : names) {
    check_stage_name(name);
    std::shared_ptr<grpc::Service> service = service_of(name, stages, gate);
    check(service != nullptr, ErrorCode::kFailedPrecondition,
          "serve: the stage " + name + " is not here");
    services.push_back({full_name(name), std::move(service)});
  }
  return services;
}

}  // namespace lv::services
