#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/output.h"
#include "apps/task_command.h"
#include "services/models/check_model.h"
#include "services/models/models.h"
#include "services/rpc/channel.h"
#include "services/tasks/caption_service.h"
#include "services/tasks/captioner.h"
#include "services/tasks/forecast.h"

namespace lv::apps {
namespace {

/// What a caption may be about, as nano was asked for it.
const std::map<std::string, std::string>& requests_by_kind() {
  static const std::map<std::string, std::string> all{
      {"short", "Describe what is shown in one sentence."},
      {"detailed", "Describe the clip in detail."},
      {"background", "Describe the background."},
      {"main-object", "Describe the main object."},
      {"camera", "Describe how the camera moves."}};
  return all;
}

struct CaptionFlags {
  std::vector<std::string> files;
  std::string prompt;
  std::string kind;
  bool json = false;
  bool no_audio = false;
  bool no_text = false;
  SamplingFlags sampling;
  CompressionFlags compression;
  GenerationOptions generation;
  ModelFlags model;
  std::string server;
  std::optional<int64_t> visual_tokens;
  bool dry_run = false;
};

services::CaptionRequest request_of(const CaptionFlags& flags) {
  services::CaptionRequest request;
  for (const std::string& file : flags.files) {
    request.sources.push_back(media_request(file, flags.sampling.sampling()));
  }
  if (flags.files.empty()) {
    request.sources.push_back(media_request(services::sample_clip(), flags.sampling.sampling()));
  }
  request.prompt = flags.kind.empty() ? flags.prompt : requests_by_kind().at(flags.kind);
  request.options = flags.generation;
  request.compression = flags.compression.specs();
  request.listen = !flags.no_audio;
  request.read = !flags.no_text;
  return request;
}

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

void print(const services::Forecast& forecast) {
  for (const services::SourceForecast& source : forecast.sources) {
    std::string size;
    if (source.longest_side > 0) size = ", made at most " + std::to_string(source.longest_side);
    std::printf("%s  %d x %d%s, %.1f s: %lld frames, %lld tokens, %lld left\n",
                printable(source.name).c_str(), source.media.width, source.media.height,
                size.c_str(), source.media.duration_seconds, static_cast<long long>(source.frames),
                static_cast<long long>(source.tokens_in),
                static_cast<long long>(source.tokens_out));
  }
  const std::string methods = services::compression_text(forecast.compression);
  std::printf("compressor  %s\n", methods.empty() ? "as usual with the model" : methods.c_str());
  std::printf("tokens  %lld, %lld left\n", static_cast<long long>(forecast.tokens_in),
              static_cast<long long>(forecast.tokens_out));
  std::printf("memory  pictures %.1f MB, features %.1f MB, context %.1f MB, weights %.1f MB\n",
              megabytes(forecast.picture_bytes), megabytes(forecast.feature_bytes),
              megabytes(forecast.context_bytes), megabytes(forecast.weight_bytes));
  std::printf("time  encoding %.1f s, compressing %.1f s; the language model not counted\n",
              forecast.encode_ms / 1e3, forecast.compress_ms / 1e3);
  std::printf("limit  %s\n",
              forecast.refusal.empty() ? "none is reached" : forecast.refusal.c_str());
}

/// Plans `request` if that was asked for, and says what it takes.
services::Forecast forecast_of(const CaptionFlags& flags, const services::Stages& stages,
                               services::CaptionRequest& request) {
  const services::ModelReport model = services::check_model(
      services::language_checkpoint(flags.model.model), flags.model.projector);
  return services::forecast(request, stages, flags.visual_tokens, &model);
}

/// What the request would take; opens headers and eyes alone.
void foresee(const CaptionFlags& flags, services::CaptionRequest request) {
  double load_ms = 0;
  const services::Workplace workplace =
      services::open_workplace(flags.model.workplace({"encode", "compress"}), load_ms);
  const services::Forecast forecast = forecast_of(flags, workplace.stages, request);
  if (flags.json) {
    std::cout << services::to_json(forecast).dump() << "\n";
  } else {
    print(forecast);
  }
}

/// By a running server, or by stages that are opened for it.
services::TaskResult caption(const CaptionFlags& flags, services::CaptionRequest request,
                             const services::TaskObserver& observer) {
  services::WorkplaceOptions options = flags.model.workplace(services::stage_names());
  if (!flags.server.empty()) {
    return services::remote_caption(services::make_channel(flags.server), flags.server, request,
                                    observer, options.deadline);
  }
  options.read = !flags.no_text;
  double load_ms = 0;
  services::Workplace workplace = services::open_workplace(options, load_ms);
  if (flags.visual_tokens) forecast_of(flags, workplace.stages, request);
  const services::Captioner captioner(std::move(workplace.stages), workplace.reader,
                                      workplace.model);
  services::TaskResult result = captioner.caption(request, observer);
  result.times.load = load_ms;
  return result;
}

void run(const CaptionFlags& flags) {
  const services::CaptionRequest request = request_of(flags);
  if (flags.dry_run) return foresee(flags, request);
  run_task(
      flags.json,
      [&](const services::TaskObserver& observer) { return caption(flags, request, observer); },
      print_parts);
}

}  // namespace

void add_caption(CLI::App& program) {
  auto flags = std::make_shared<CaptionFlags>();
  CLI::App* command = program.add_subcommand("caption", "Say what a video or picture shows");
  command->add_option("FILE", flags->files, "videos or pictures; the sample clip if none");
  auto* prompt = command->add_option("--prompt", flags->prompt, "what the caption should say");
  command
      ->add_option("--kind", flags->kind,
                   "what it should be about: short, detailed, background, main-object or camera")
      ->check(CLI::IsMember(requests_by_kind()))
      ->excludes(prompt);
  command->add_flag("--json", flags->json, "print one JSON object");
  command->add_flag("--no-audio", flags->no_audio, "do not listen");
  command->add_flag("--no-text", flags->no_text, "do not recognise text in pictures");
  flags->sampling.add_to(*command);
  flags->compression.add_to(*command);
  auto* most = command->add_option(
      "--visual-tokens", flags->visual_tokens,
      "at most so many tokens of pictures: plans how many frames to look at, at most --frames, and "
      "what share of their tokens to keep");
  most->check(CLI::Range(1, 1 << 24))->excludes("--keep");
  auto* dry_run = command->add_flag("--dry-run", flags->dry_run,
                                    "say from headers what would be looked at and what it takes");
  flags->generation.max_tokens = 32;
  flags->generation.repetition_penalty = 1.15;
  add_generation_flags(*command, flags->generation);
  flags->model.add_to(*command);
  add_server_flag(*command, flags->server)->excludes(most)->excludes(dry_run);
  command->callback([flags, command] {
    // JSON is longer than a sentence, and repeats its marks; what a model was trained to say ends
    // by itself.
    const bool json = !flags->generation.json_schema.empty();
    if (json || services::is_nano_that_sees(flags->model.model)) {
      if (command->count("--max-tokens") == 0) flags->generation.max_tokens = json ? 256 : 96;
      if (command->count("--repetition-penalty") == 0) flags->generation.repetition_penalty = 1;
    }
    run(*flags);
  });
}

}  // namespace lv::apps
