#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "services/stages.h"

namespace grpc {
class Channel;
}

namespace lv::services {

/// Puts the stage called `name`, reached over `channel`, in place of the one in `stages`. `address`
/// is what errors call the other side.
void use_remote_stage(Stages& stages, const std::string& name,
                      std::shared_ptr<grpc::Channel> channel, const std::string& address,
                      std::chrono::milliseconds deadline);

}  // namespace lv::services
