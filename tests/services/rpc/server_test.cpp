#include "services/rpc/server.h"

#include <ATen/ATen.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <future>
#include <thread>

#include "longview/v1/stages.grpc.pb.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/codec/codec.h"
#include "services/rpc/channel.h"
#include "services/rpc/remote_stages.h"
#include "services/rpc/shutdown_signals.h"
#include "services/rpc/wire.h"
#include "tests/services/rpc/small_stages.h"

namespace lv::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::vector<HostedService> small_services(const std::vector<std::string>& names) {
  return stage_services(small_stages(), names, std::make_shared<CallGate>());
}

/// The health that a server tells of a service: 1 serving, 2 not serving, -1 not known.
int health_of(const std::string& address, const std::string& service) {
  std::string request = "\x0a";  // HealthCheckRequest: field 1, the name
  request += static_cast<char>(service.size());
  request += service;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer question(&slice, 1);
  grpc::GenericStub stub(make_channel(address));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", question, &queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool good = false;
  queue.Next(&tag, &good);
  if (!status.ok()) return -1;
  grpc::Slice bytes;
  answer.DumpToSingleSlice(&bytes);
  return bytes.size() == 2 ? bytes.begin()[1] : 0;  // HealthCheckResponse: field 1, the status
}

/// Sends frames to Encode, after its plan or without one, and returns how the call ends.
grpc::Status status_of(const Server& server, const v1::FrameBatch& frames, bool planned = true) {
  // No limit on this side: what is tested is that the server has one.
  const auto stub = v1::Encode::NewStub(
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->Run(&context);
  v1::EncodeRequest message;
  message.mutable_plan();
  if (planned) stream->Write(message);
  *message.mutable_frames() = frames;
  stream->Write(message);
  stream->WritesDone();
  v1::VisualTokens answer;
  while (stream->Read(&answer)) {
  }
  return stream->Finish();
}

TEST_CASE("health is told for each service") {
  Server server("0", small_services({"encode"}));
  CHECK_THAT(server.address(), Catch::StartsWith("127.0.0.1:"));
  CHECK(health_of(server.address(), "") == 1);
  CHECK(health_of(server.address(), "longview.v1.Encode") == 1);
  CHECK(health_of(server.address(), "longview.v1.Generate") == -1);
}

TEST_CASE("a taken port is a clear error") {
  const Server server("127.0.0.1:0", small_services({"encode"}));
  try {
    const Server other(server.address(), small_services({"encode"}));
    FAIL("two servers on one port");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK(std::string(error.what()) ==
          "serve: cannot listen on " + server.address() + ": is the port taken?");
  }
}

TEST_CASE("malformed addresses are refused") {
  for (const char* address : {"host", "host:", ":", "1:99999", "a:b"}) {
    CHECK_THROWS_AS(Server(address, {}), Error);
  }
  CHECK_THROWS_AS(make_channel("host"), Error);
  CHECK_THROWS_AS(make_channel(":50051"), Error);
}

TEST_CASE("only stages that exist and are here can be served") {
  CHECK(small_services({"all"}).size() == 5);
  CHECK(small_services({"listen", "generate"}).size() == 2);
  CHECK_THROWS_WITH(small_services({"dream"}), Catch::Contains("decode, listen, encode"));
  Stages stages = small_stages();
  stages.encode = nullptr;
  CHECK_THROWS_WITH(stage_services(stages, {"all"}, std::make_shared<CallGate>()),
                    "serve: the stage encode is not here");
}

TEST_CASE("malformed tensors are refused and the server lives on") {
  const Server server("0", small_services({"encode"}));
  v1::FrameBatch message;
  to_proto(grey_frames(1, 2, 2, 5), &message);
  CHECK(status_of(server, message).ok());

  v1::FrameBatch hostile = message;
  hostile.mutable_pixels()->mutable_data()->pop_back();
  grpc::Status status = status_of(server, hostile);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "frames.pixels: expected 12 bytes for [1, 2, 2, 3], got 11");

  hostile = message;
  hostile.mutable_pixels()->set_shape(0, int64_t{1} << 62);
  status = status_of(server, hostile);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status_of(server, message).ok());
}

TEST_CASE("frames without a plan are refused") {
  const Server server("0", small_services({"encode"}));
  v1::FrameBatch frames;
  to_proto(grey_frames(1, 2, 2, 5), &frames);
  const grpc::Status status = status_of(server, frames, /*planned=*/false);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "encode: expected a plan first");
}

TEST_CASE("a message over the limit is refused by the server, too", "[.slow]") {
  const Server server("0", small_services({"encode"}));
  v1::FrameBatch message;
  message.mutable_pixels()->mutable_data()->resize(kMaxMessageBytes);
  const grpc::Status status = status_of(server, message);
  CHECK(status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK_THAT(status.error_message(), Catch::Contains("larger than max"));
}

TEST_CASE("a server that ends lets calls finish within their grace") {
  const auto observed = std::make_shared<Observed>();
  Stages slow = small_stages();
  slow.decode_video = endless_video(observed, milliseconds(10));
  Server server("0", stage_services(slow, {"all"}, std::make_shared<CallGate>()));
  Stages stages;
  use_remote_stages(stages, {{"decode", server.address()}}, milliseconds(20'000));
  auto source = stages.decode_video->start(source_of_one(file_of("x")));
  REQUIRE(source->next());
  const auto start = steady_clock::now();
  auto ended = std::async(std::launch::async, [&] { server.shutdown(milliseconds(300)); });
  int before = 0;
  ErrorCode code = ErrorCode::kUnknown;
  try {
    while (source->next()) ++before;
  } catch (const Error& error) {
    code = error.code();
  }
  ended.get();
  CHECK(before > 5);
  CHECK(code == ErrorCode::kUnavailable);
  CHECK(observed->alive == 0);
  CHECK(steady_clock::now() - start >= milliseconds(290));
  CHECK(steady_clock::now() - start < milliseconds(700));
}

TEST_CASE("a signal to end wakes whoever waits for it") {
  ShutdownSignals signals;
  CHECK(signals.wait_for(milliseconds(1)) == 0);
  CHECK_THROWS_AS(ShutdownSignals(), Error);
  std::raise(SIGTERM);
  CHECK(signals.wait() == SIGTERM);
}

TEST_CASE("compressors are read as a list, each with its options") {
  const auto one = parse_compression("tome");
  REQUIRE(one.size() == 1);
  CHECK(one[0].method == "tome");
  CHECK(one[0].params.empty());
  const auto two = parse_compression("tome:keep=0.5,steps=4+holitom:keep=0.2");
  REQUIRE(two.size() == 2);
  CHECK(two[0].params == std::map<std::string, std::string>{{"keep", "0.5"}, {"steps", "4"}});
  CHECK(two[1].method == "holitom");
  CHECK(two[1].params.at("keep") == "0.2");
  CHECK(compression_text(two) == "tome:keep=0.5,steps=4+holitom:keep=0.2");
  for (const char* wrong : {"", "+", "tome+", "tome++pool", ":keep=1", "tome:keep"}) {
    INFO(wrong);
    CHECK_THROWS_AS(parse_compression(wrong), Error);
  }
}

TEST_CASE("upstream addresses are read by name or for all stages") {
  const auto two = parse_upstream("decode=a:1,generate=b:2");
  CHECK(two == std::map<std::string, std::string>{{"decode", "a:1"}, {"generate", "b:2"}});
  const auto all = parse_upstream("a:1,encode=b:2");
  CHECK(all.size() == 5);
  CHECK(all.at("encode") == "b:2");
  CHECK(all.at("listen") == "a:1");
  CHECK_THROWS_AS(parse_upstream(""), Error);
  CHECK_THROWS_AS(parse_upstream("a:1,"), Error);
  CHECK_THROWS_AS(parse_upstream("dream=a:1"), Error);
}

}  // namespace
}  // namespace lv::services
