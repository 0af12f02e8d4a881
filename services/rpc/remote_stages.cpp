#include "services/rpc/remote_stages.h"

#include <grpcpp/channel.h>

#include <utility>

#include "longview/v1/stages.grpc.pb.h"
#include "pipeline/base/error.h"
#include "services/rpc/channel.h"
#include "services/rpc/remote_stage.h"

namespace lv::services {
namespace {

/// The stage behind one method of a stub: `open` is called on a stub of the service.
template <class In, class Out, class Service, class InWire = Wire<In>, class Open>
StagePtr<In, Out> remote(std::shared_ptr<grpc::Channel> channel, std::string who,
                         std::chrono::milliseconds deadline, Open open,
                         std::function<bool(ClientStream<Out, InWire>&)> preface = {}) {
  std::shared_ptr<typename Service::Stub> stub = Service::NewStub(std::move(channel));
  RemoteCall<Out, InWire> call;
  call.who = std::move(who);
  call.open = [stub, open](grpc::ClientContext* context) { return open(*stub, context); };
  call.preface = std::move(preface);
  call.deadline = deadline;
  return std::make_shared<const RemoteStage<In, Out, InWire>>(std::move(call));
}

constexpr auto kRun = [](auto& stub, grpc::ClientContext* context) { return stub.Run(context); };

/// A service whose calls begin with the plan.
template <class In, class Out, class Service, class InWire>
std::function<StagePtr<In, Out>(const std::vector<CompressionSpec>&)> remote_planned(
    std::shared_ptr<grpc::Channel> channel, std::string who, std::chrono::milliseconds deadline) {
  return [=](const std::vector<CompressionSpec>& specs) {
    typename InWire::Message first;
    first.mutable_plan();
    for (const CompressionSpec& spec : specs) to_proto(spec, first.mutable_plan()->add_methods());
    return remote<In, Out, Service, InWire>(
        channel, who, deadline, kRun,
        [first](ClientStream<Out, InWire>& stream) { return stream.Write(first); });
  };
}

}  // namespace

void use_remote_stage(Stages& stages, const std::string& name,
                      std::shared_ptr<grpc::Channel> channel, const std::string& address,
                      std::chrono::milliseconds deadline) {
  check_stage_name(name);
  const std::string who = name + " at " + address;
  if (name == "decode") {
    stages.decode_video = remote<MediaRequest, FrameBatch, v1::Decode>(
        channel, who, deadline,
        [](auto& stub, grpc::ClientContext* context) { return stub.Video(context); });
    stages.decode_audio = remote<MediaRequest, AudioChunk, v1::Decode>(
        channel, who, deadline,
        [](auto& stub, grpc::ClientContext* context) { return stub.Audio(context); });
  } else if (name == "listen") {
    stages.listen = remote<AudioChunk, AudioTokens, v1::Listen>(channel, who, deadline, kRun);
  } else if (name == "encode") {
    stages.encode =
        remote_planned<FrameBatch, VisualTokens, v1::Encode, EncodeWire>(channel, who, deadline);
  } else if (name == "compress") {
    stages.compress = remote_planned<ClipTokens, VisualContext, v1::Compress, Wire<ClipTokens>>(
        channel, who, deadline);
  } else {
    stages.generate = remote<Prompt, TextDelta, v1::Generate>(channel, who, deadline, kRun);
  }
}

void use_remote_stages(Stages& stages, const std::map<std::string, std::string>& addresses,
                       std::chrono::milliseconds deadline) {
  for (const auto& [name, address] : addresses) {
    use_remote_stage(stages, name, make_channel(address), address, deadline);
  }
}

}  // namespace lv::services
