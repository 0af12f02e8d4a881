#pragma once

#include <memory>

#include "services/rpc/server.h"
#include "services/tasks/captioner.h"
#include "services/tasks/risk.h"

namespace lv::services {

/// longview.v1.Caption over a captioner and what judges risks: files in, progress, text and a
/// result out.
HostedService caption_service(std::shared_ptr<const Captioner> captioner,
                              std::shared_ptr<const RiskAssessor> assessor,
                              std::shared_ptr<CallGate> gate);

/// A caption by the service at `channel`; `address` is what errors call it. Files are read here and
/// sent as bytes. Throws what the service answers, as if it ran here.
TaskResult remote_caption(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                          const CaptionRequest& request, const TaskObserver& observer,
                          std::chrono::milliseconds deadline);

/// The same for an assessment.
TaskResult remote_risk(std::shared_ptr<grpc::Channel> channel, const std::string& address,
                       const RiskRequest& request, const TaskObserver& observer,
                       std::chrono::milliseconds deadline);

}  // namespace lv::services
