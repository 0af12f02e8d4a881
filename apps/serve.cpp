#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "services/models/models.h"
#include "services/rpc/server.h"
#include "services/rpc/shutdown_signals.h"
#include "services/tasks/ask_service.h"
#include "services/tasks/caption_service.h"

namespace lv::apps {
namespace {

constexpr const char* kCaption = "caption";
constexpr const char* kAsk = "ask";
constexpr std::chrono::seconds kGrace{5};

struct ServeFlags {
  std::string address = "127.0.0.1:50051";
  std::vector<std::string> stages;
  int max_calls = 8;
  ModelFlags model;
};

/// The services asked for, all of them if none is named. Tasks need every stage, the others only
/// their own.
std::vector<services::HostedService> services_of(const ServeFlags& flags,
                                                 std::shared_ptr<services::CallGate> gate) {
  std::vector<std::string> hosted;
  bool caption = flags.stages.empty(), ask = caption;
  for (const std::string& name : flags.stages) {
    if (name == kCaption) caption = true;
    if (name == kAsk) ask = true;
    if (name != kCaption && name != kAsk) hosted.push_back(name);
  }
  if (flags.stages.empty()) hosted = services::stage_names();
  services::WorkplaceOptions options =
      flags.model.workplace(caption || ask ? services::stage_names() : hosted);
  options.read = caption || ask;
  double load_ms = 0;
  services::Workplace workplace = services::open_workplace(options, load_ms);
  std::vector<services::HostedService> all =
      services::stage_services(workplace.stages, hosted, gate);
  if (caption) {
    auto captioner =
        std::make_shared<services::Captioner>(workplace.stages, workplace.reader, workplace.model);
    auto assessor = std::make_shared<services::RiskAssessor>(workplace.stages, workplace.model);
    all.push_back(services::caption_service(std::move(captioner), std::move(assessor), gate));
  }
  if (ask) {
    auto asker =
        std::make_shared<services::Asker>(workplace.stages, workplace.reader, workplace.model);
    all.push_back(services::ask_service(std::move(asker), gate));
  }
  return all;
}

void run(const ServeFlags& flags) {
  services::ShutdownSignals signals;
  services::ServingLimits limits;
  limits.max_calls = flags.max_calls;
  auto gate = std::make_shared<services::CallGate>(limits);
  services::Server server(flags.address, services_of(flags, gate), flags.max_calls);
  std::cout << "longview: serving at " << server.address() << std::endl;
  signals.wait();
  server.shutdown(kGrace);
}

}  // namespace

void add_serve(CLI::App& program) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command =
      program.add_subcommand("serve", "Serve the stages over gRPC, all of them or some");
  command
      ->add_option("--address", flags->address,
                   "HOST:PORT; a port alone is on loopback, 0 picks one")
      ->capture_default_str();
  command
      ->add_option("--stage", flags->stages,
                   "decode, listen, encode, compress, generate, caption or ask; repeatable")
      ->delimiter(',');
  command->add_option("--max-calls", flags->max_calls, "calls at the same time; more are refused")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  flags->model.add_to(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
