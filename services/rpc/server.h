#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "services/rpc/call_gate.h"
#include "services/stages.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace lv::services {

/// A service and its full name, e.g. "longview.v1.Encode", under which its health is told.
struct HostedService {
  std::string name;
  std::shared_ptr<grpc::Service> service;
};

/// The services of these stages; "all" names every one. Throws kInvalidArgument on an unknown name,
/// kFailedPrecondition if the stage is not in `stages`.
std::vector<HostedService> stage_services(const Stages& stages,
                                          const std::vector<std::string>& names,
                                          std::shared_ptr<CallGate> gate);

/// A running gRPC server with health (grpc.health.v1) and reflection. Thread-safe.
///
/// Credentials are insecure, so an address without a host is on loopback: "50051", ":50051".
/// Port 0 picks one. "" listens nowhere and serves in_process_channel() only.
class Server {
 public:
  /// Throws kInvalidArgument for a malformed address, kUnavailable if it cannot be bound.
  Server(const std::string& address, std::vector<HostedService> services, int max_calls = 8);
  /// As shutdown() with no time to finish.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "host:port" with the port that was bound.
  const std::string& address() const;
  std::shared_ptr<grpc::Channel> in_process_channel() const;

  /// Takes no new calls, lets those that run finish within `grace`, then cancels them. Returns when
  /// none runs.
  void shutdown(std::chrono::milliseconds grace);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lv::services
