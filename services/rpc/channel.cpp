#include "services/rpc/channel.h"

#include <grpc/support/log.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <cstdlib>
#include <mutex>

#include "pipeline/base/error.h"
#include "services/rpc/wire.h"

namespace lv::services {
namespace {

/// gRPC writes its own lines to standard error. What matters of them comes as a status.
void silence_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("GRPC_VERBOSITY") != nullptr) return;
    gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

}  // namespace

grpc::ChannelArguments channel_arguments() {
  silence_log();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return arguments;
}

std::shared_ptr<grpc::Channel> make_channel(const std::string& address) {
  const size_t colon = address.rfind(':');
  const bool whole = colon != std::string::npos && colon > 0 && colon + 1 < address.size();
  check(whole, ErrorCode::kInvalidArgument, "address: expected host:port, got '" + address + "'");
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   channel_arguments());
}

}  // namespace lv::services
