#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/output.h"
#include "apps/task_command.h"
#include "services/models/models.h"
#include "services/rpc/channel.h"
#include "services/tasks/ask_service.h"
#include "services/tasks/asker.h"

namespace lv::apps {
namespace {

struct AskFlags {
  std::vector<std::string> files;
  services::AskRequest request;  // but for its sources and compression
  bool json = false;
  bool no_audio = false;
  bool no_text = false;
  SamplingFlags sampling;
  CompressionFlags compression;
  ModelFlags model;
  std::string server;
};

services::AskRequest request_of(const AskFlags& flags) {
  services::AskRequest request = flags.request;
  for (const std::string& file : flags.files) {
    request.sources.push_back(media_request(file, flags.sampling.sampling()));
  }
  request.compression = flags.compression.specs();
  request.listen = !flags.no_audio;
  request.read = !flags.no_text;
  return request;
}

/// "a.pdf, page 3: 42.50", "film.mp4, 00:01.0-00:03.5: hello", "a.png, box 0.10 0.20 0.50 0.90".
std::string line_of(const services::Evidence& evidence, const services::TaskResult& result) {
  const services::SourceReport& source = result.sources.at(static_cast<size_t>(evidence.source));
  std::string line = printable(source.path);
  if (evidence.page) line += ", page " + std::to_string(*evidence.page);
  if (evidence.start_seconds && evidence.end_seconds && source.media.kind == MediaKind::kVideo) {
    line += ", " + clock_text(*evidence.start_seconds);
    const bool lasts = *evidence.end_seconds > *evidence.start_seconds;
    if (lasts) line += "-" + clock_text(*evidence.end_seconds);
  }
  if (!evidence.quote.empty()) return line + ": " + printable(evidence.quote);
  if (evidence.box) {
    char box[64];
    const auto& [x0, y0, x1, y1] = *evidence.box;
    std::snprintf(box, sizeof box, ", box %.2f %.2f %.2f %.2f", x0, y0, x1, y1);
    line += box;
  }
  return line;
}

void print(const services::TaskResult& result) {
  std::cout << result.text << "\n";
  if (!result.evidence.empty()) std::cout << "\n";
  for (const services::Evidence& evidence : result.evidence) {
    std::cout << line_of(evidence, result) << "\n";
  }
  print_warnings(result);
}

/// By a running server, or by stages that are opened for it.
services::TaskResult ask(const AskFlags& flags, const services::AskRequest& request,
                         const services::TaskObserver& observer) {
  services::WorkplaceOptions options = flags.model.workplace(services::stage_names());
  if (!flags.server.empty()) {
    return services::remote_ask(services::make_channel(flags.server), flags.server, request,
                                observer, options.deadline);
  }
  options.read = !flags.no_text;
  double load_ms = 0;
  services::Workplace workplace = services::open_workplace(options, load_ms);
  const services::Asker asker(std::move(workplace.stages), workplace.reader, workplace.model);
  services::TaskResult result = asker.ask(request, observer);
  result.times.load = load_ms;
  return result;
}

void run(const AskFlags& flags) {
  const services::AskRequest request = request_of(flags);
  run_task(
      flags.json,
      [&](const services::TaskObserver& observer) { return ask(flags, request, observer); }, print);
}

}  // namespace

void add_ask(CLI::App& program) {
  auto flags = std::make_shared<AskFlags>();
  CLI::App* command =
      program.add_subcommand("ask", "Answer a question about videos, pictures, PDF files");
  command->add_option("FILE", flags->files, "videos, pictures or PDF files")->required();
  command->add_option("--question", flags->request.question, "what to answer")->required();
  command->add_flag("--json", flags->json, "print one JSON object");
  command->add_flag("--no-audio", flags->no_audio, "do not listen");
  command->add_flag("--no-text", flags->no_text,
                    "do not recognise text in pictures and on pages without a text layer");
  command
      ->add_option("--text-tokens", flags->request.text_tokens,
                   "about so many tokens of what pages say go into the prompt, the parts nearest "
                   "to the question")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  flags->sampling.add_to(*command);
  flags->compression.add_to(*command);
  flags->request.options.max_tokens = 32;
  add_generation_flags(*command, flags->request.options);
  flags->model.add_to(*command);
  add_server_flag(*command, flags->server);
  command->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
