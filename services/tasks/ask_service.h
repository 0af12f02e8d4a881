#pragma once

#include <memory>

#include "services/rpc/server.h"
#include "services/tasks/asker.h"

namespace lv::services {

/// longview.v1.Ask over an asker: files in, progress, text and a result out.
HostedService ask_service(std::shared_ptr<const Asker> asker, std::shared_ptr<CallGate> gate);

/// An answer by the service at `channel`; `address` is what errors call it. Files are read here and
/// sent as bytes. Throws what the service answers, as if it ran here.
TaskResult remote_ask(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                      const AskRequest& request, const TaskObserver& observer,
                      std::chrono::milliseconds deadline);

}  // namespace lv::services
