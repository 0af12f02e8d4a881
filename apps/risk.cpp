#include "services/tasks/risk.h"

#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/task_command.h"
#include "services/models/models.h"
#include "services/rpc/channel.h"
#include "services/tasks/caption_service.h"

namespace lv::apps {
namespace {

struct RiskFlags {
  std::vector<std::string> views;
  std::string question;
  bool json = false;
  SamplingFlags sampling;
  CompressionFlags compression;
  ModelFlags model;
  std::string server;
};

services::RiskRequest request_of(const RiskFlags& flags) {
  services::RiskRequest request;
  for (const std::string& given : flags.views) {
    const size_t equals = given.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == given.size()) {
      throw CLI::ValidationError("VIEW=FILE", "expected a view and a file, got '" + given + "'");
    }
    request.views.push_back(media_request(given.substr(equals + 1), flags.sampling.sampling()));
    request.views.back().view = given.substr(0, equals);
  }
  request.question = flags.question;
  request.compression = flags.compression.specs(flags.views.size() > 1 ? "interactor" : "tome");
  return request;
}

/// By a running server, or by stages that are opened for it.
services::TaskResult assess(const RiskFlags& flags, const services::TaskObserver& observer) {
  const services::RiskRequest request = request_of(flags);
  const services::WorkplaceOptions options =
      flags.model.workplace({"decode", "encode", "compress", "generate"});
  if (!flags.server.empty()) {
    return services::remote_risk(services::make_channel(flags.server), flags.server, request,
                                 observer, options.deadline);
  }
  double load_ms = 0;
  services::Workplace workplace = services::open_workplace(options, load_ms);
  const services::RiskAssessor assessor(std::move(workplace.stages), workplace.model);
  services::TaskResult result = assessor.assess(request, observer);
  result.times.load = load_ms;
  return result;
}

void run(const RiskFlags& flags) {
  run_task(
      flags.json, [&](const services::TaskObserver& observer) { return assess(flags, observer); },
      print_parts);
}

}  // namespace

void add_risk(CLI::App& program) {
  auto flags = std::make_shared<RiskFlags>();
  CLI::App* command =
      program.add_subcommand("risk", "Say what endangers a car, from films of its cameras");
  command
      ->add_option("VIEW=FILE", flags->views,
                   "front, front-left, front-right, rear, rear-left or rear-right, and its film")
      ->required();
  command->add_option("--question", flags->question, "answer this instead");
  command->add_flag("--json", flags->json, "print one JSON object");
  flags->sampling.add_to(*command);
  flags->compression.add_to(*command);
  flags->model.add_to(*command);
  add_server_flag(*command, flags->server);
  command->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
