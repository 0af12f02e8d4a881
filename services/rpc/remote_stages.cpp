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
template <class In, class Out, class Service, class Open>
std::shared_ptr<const RemoteStage<In, Out>> remote(
    std::shared_ptr<grpc::Channel> channel, std::string who, std::chrono::milliseconds deadline,
    Open open, std::function<bool(ClientStream<In, Out>&)> preface = {}) {
  std::shared_ptr<typename Service::Stub> stub = Service::NewStub(std::move(channel));
  RemoteCall<In, Out> call;
  call.who = std::move(who);
  call.open = [stub, open](grpc::ClientContext* context) { return open(*stub, context); };
  call.preface = std::move(preface);
  call.deadline = deadline;
  return std::make_shared<const RemoteStage<In, Out>>(std::move(call));
}

constexpr auto kRun = [](auto& stub, grpc::ClientContext* context) { return stub.Run(context); };

MakeCompress remote_compress(std::shared_ptr<grpc::Channel> channel, std::string who,
                             std::chrono::milliseconds deadline) {
  return [=](const std::vector<CompressionSpec>& specs) -> StagePtr<ClipTokens, VisualContext> {
    v1::CompressRequest first;
    first.mutable_plan();
    for (const CompressionSpec& spec : specs) to_proto(spec, first.mutable_plan()->add_methods());
    return remote<ClipTokens, VisualContext, v1::Compress>(
        channel, who, deadline, kRun,
        [first](ClientStream<ClipTokens, VisualContext>& stream) { return stream.Write(first); });
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
    stages.encode = remote<FrameBatch, VisualTokens, v1::Encode>(channel, who, deadline, kRun);
  } else if (name == "compress") {
    stages.compress = remote_compress(channel, who, deadline);
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
