#include <iostream>
#include <memory>
#include <string>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "audio/transcribe/subtitles.h"
#include "services/models/models.h"
#include "services/tasks/transcriber.h"

namespace lv::apps {
namespace {

struct TranscribeFlags {
  std::string file;
  std::string format = "text";
  std::string out;
  bool json = false;
  ModelFlags model;
};

std::string written(const services::TaskResult& result, const std::string& format) {
  if (format == "json") return services::to_json(result).dump() + "\n";
  if (format == "srt") return audio::to_srt(result.transcript);
  if (format == "vtt") return audio::to_vtt(result.transcript);
  return audio::to_text(result.transcript);
}

void run(const TranscribeFlags& flags) {
  Progress progress;
  double load_ms = 0;
  const services::Workplace workplace =
      services::open_workplace(flags.model.workplace({"decode", "listen"}), load_ms);
  progress.show("listen", 0);
  const services::Transcriber transcriber(workplace.stages, workplace.speech_model);
  services::TaskResult result = transcriber.transcribe(media_request(flags.file));
  result.times.load = load_ms;
  progress.clear();
  const std::string text = written(result, flags.json ? "json" : flags.format);
  if (flags.out.empty()) {
    std::cout << text;
  } else {
    write_whole_file(flags.out, text);
  }
  if (!flags.json) {
    for (const std::string& warning : result.warnings)
      std::cerr << "longview: warning: " << warning << "\n";
  }
}

}  // namespace

void add_transcribe(CLI::App& program) {
  auto flags = std::make_shared<TranscribeFlags>();
  CLI::App* command = program.add_subcommand("transcribe", "Write down what is said, with times");
  command->add_option("FILE", flags->file, "a video or sound file")->required();
  command->add_option("--format", flags->format, "text, srt, vtt or json")
      ->check(CLI::IsMember({"text", "srt", "vtt", "json"}))
      ->capture_default_str();
  command->add_option("--out", flags->out, "write to this file instead of standard output");
  command->add_flag("--json", flags->json, "print one JSON object");
  flags->model.add_to(*command);
  command->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
