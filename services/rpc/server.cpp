#include "services/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>
#include <utility>

#include "pipeline/base/error.h"
#include "services/rpc/channel.h"
#include "services/rpc/wire.h"

namespace lv::services {
namespace {

constexpr int kSpareThreads = 8;  // for health, reflection and calls that are being refused

/// "host:port" of what a user writes as an address to listen on.
std::string with_host(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? address : address.substr(colon + 1);
  const bool is_port = !port.empty() && port.size() <= 5 &&
                       port.find_first_not_of("0123456789") == std::string::npos &&
                       std::stoi(port) <= 65535;
  check(is_port, ErrorCode::kInvalidArgument,
        "address: expected host:port or a port, got '" + address + "'");
  const std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  return (host.empty() ? "127.0.0.1" : host) + ":" + port;
}

/// Enables what gRPC offers to every server of the process.
void enable_plugins() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

/// The one place where servers are made.
std::unique_ptr<grpc::Server> build_server(const std::string& address,
                                           const std::vector<HostedService>& services,
                                           int max_calls, int* port) {
  enable_plugins();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else a taken port is shared silently
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // A wake-up that gRPC 1.51's in-process transport loses is made up for at this step, not after
  // the default 10 s.
  builder.SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC, 100);
  grpc::ResourceQuota quota("longview");
  quota.SetMaxThreads(max_calls + kSpareThreads);
  builder.SetResourceQuota(quota);
  if (!address.empty()) {
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), port);
  }
  for (const HostedService& hosted : services) builder.RegisterService(hosted.service.get());
  return builder.BuildAndStart();
}

}  // namespace

struct Server::State {
  std::vector<HostedService> services;  // before the server, which calls them until it goes
  std::string address;
  std::unique_ptr<grpc::Server> server;
  std::once_flag stopped;
};

Server::Server(const std::string& address, std::vector<HostedService> services, int max_calls)
    : state_(std::make_unique<State>()) {
  state_->services = std::move(services);
  const std::string wanted = address.empty() ? "" : with_host(address);
  int port = 0;
  state_->server = build_server(wanted, state_->services, max_calls, &port);
  check(state_->server != nullptr && (wanted.empty() || port != 0), ErrorCode::kUnavailable,
        "serve: cannot listen on " + wanted + ": is the port taken?");
  if (!wanted.empty()) {
    state_->address = wanted.substr(0, wanted.rfind(':') + 1) + std::to_string(port);
  }
  grpc::HealthCheckServiceInterface* health = state_->server->GetHealthCheckService();
  for (const HostedService& hosted : state_->services) health->SetServingStatus(hosted.name, true);
}

Server::~Server() { shutdown(std::chrono::milliseconds(0)); }

const std::string& Server::address() const { return state_->address; }

std::shared_ptr<grpc::Channel> Server::in_process_channel() const {
  return state_->server->InProcessChannel(channel_arguments());
}

void Server::shutdown(std::chrono::milliseconds grace) {
  std::call_once(state_->stopped, [&] {
    state_->server->GetHealthCheckService()->SetServingStatus(false);
    state_->server->Shutdown(std::chrono::system_clock::now() + grace);
    state_->server->Wait();
  });
}

}  // namespace lv::services
