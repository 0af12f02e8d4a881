#pragma once

#include <memory>
#include <string>

namespace grpc {
class Channel;
class ChannelArguments;
}  // namespace grpc

namespace lv::services {

/// A channel to "host:port". Connects when first used, and again when the connection was lost.
/// Throws kInvalidArgument if the address has no port.
std::shared_ptr<grpc::Channel> make_channel(const std::string& address);

/// What every channel is made with: message size, keepalive, no proxy, quick reconnects.
grpc::ChannelArguments channel_arguments();

}  // namespace lv::services
