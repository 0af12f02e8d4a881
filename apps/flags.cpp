#include "apps/flags.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

namespace lv::apps {
namespace {

/// A schema from the command line, or what is in the file of that name.
std::string schema_text(const std::string& given) {
  const size_t first = given.find_first_not_of(" \t\r\n");
  if (first != given.npos && given[first] == '{') return given;
  std::ifstream file(given, std::ios::binary);
  std::string text(kMaxSchemaBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  if (text.empty()) {
    throw CLI::ValidationError("--json-schema",
                               "expected a file or JSON that begins with '{', got " + given);
  }
  return text;
}

}  // namespace

void SamplingFlags::add_to(CLI::App& command) {
  auto* rule = command.add_option_group("frames", "Which pictures of a film to look at");
  rule->add_option("--frames", frames_,
                   "this many, evenly spread (default: as the model was trained, else 8)")
      ->check(CLI::Range(1, 100000));
  rule->add_option("--fps", fps_, "this many a second")->check(CLI::Range(1e-6, 1000.0));
  rule->add_option("--at", at_, "those shown at these seconds")->delimiter(',');
  rule->add_flag("--key-frames", key_frames_, "those that decode on their own");
  rule->add_option("--scenes", scenes_, "the first of each scene; share of change, e.g. 0.3")
      ->check(CLI::Range(1e-6, 1.0));
  rule->require_option(0, 1);
  command.add_option("--start", start_, "seconds from the container's zero to start at")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--end", end_, "seconds to end before")->check(CLI::NonNegativeNumber);
}

Sampling SamplingFlags::sampling() const {
  Sampling sampling;
  sampling.start_seconds = start_;
  sampling.end_seconds = end_;
  if (fps_ > 0) {
    sampling.rule = FramesPerSecond{fps_};
  } else if (!at_.empty()) {
    sampling.rule = FramesAt{at_};
  } else if (key_frames_) {
    sampling.rule = KeyFrames{};
  } else if (scenes_ > 0) {
    sampling.rule = SceneChanges{scenes_};
  } else if (frames_ > 0) {
    sampling.rule = UniformFrames{frames_};
  } else {
    sampling.rule = UsualFrames{};
  }
  if (end_ && *end_ <= start_) throw CLI::ValidationError("--end", "expected more than --start");
  return sampling;
}

void add_generation_flags(CLI::App& command, GenerationOptions& options) {
  command.add_option("--max-tokens", options.max_tokens, "longest answer, in tokens")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--temperature", options.temperature, "0 takes the most probable token")
      ->check(CLI::Range(0.0, 100.0));
  command.add_option("--top-k", options.top_k, "draw from the k most probable; 0 from all")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--top-p", options.top_p, "draw from this much probability")
      ->check(CLI::Range(1e-6, 1.0));
  command.add_option("--min-p", options.min_p, "drop tokens below this share of the best")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--repetition-penalty", options.repetition_penalty, "1 is none")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  command.add_option("--seed", options.seed, "of the draws");
  auto* stop = command.add_option("--stop", options.stop, "text that ends the answer");
  command
      .add_option_function<std::string>(
          "--json-schema",
          [&options](const std::string& given) { options.json_schema = schema_text(given); },
          "FILE or JSON: each answer is JSON that obeys this schema; changes the defaults to "
          "--max-tokens 256 --repetition-penalty 1")
      ->excludes(stop);
}

void CompressionFlags::add_to(CLI::App& command) {
  command.add_option("--compressor", compressors_,
                     "NAME[:key=value,...], e.g. uniform:tokens=64 (default tome); a list by + or "
                     "by giving it again, e.g. tome:keep=0.5+holitom:keep=0.2");
  command
      .add_option("--keep", keep_,
                  "share of visual tokens kept (default 0.1; all for models that see)")
      ->check(CLI::Range(1e-6, 1.0));
}

std::vector<services::CompressionSpec> CompressionFlags::specs(const std::string& usual) const {
  std::vector<services::CompressionSpec> specs;
  for (const std::string& text : compressors_) {
    for (auto& spec : services::parse_compression(text)) specs.push_back(std::move(spec));
  }
  if (!keep_) return specs;
  if (specs.empty()) specs.push_back({usual, {}});
  if (specs.size() > 1) {
    throw CLI::ValidationError(
        "--keep",
        "expected one method, got " + std::to_string(specs.size()) + "; write keep=R behind each");
  }
  if (!specs[0].params.emplace("keep", CLI::detail::to_string(*keep_)).second) {
    throw CLI::ValidationError("--keep", "given twice: also in --compressor");
  }
  return specs;
}

void add_projector_flag(CLI::App& command, std::string& projector) {
  command.add_option("--mmproj", projector,
                     "the .gguf file of the eyes of a .gguf model, or none; the one beside it that "
                     "fits, if not given");
}

void add_plan_flag(CLI::App& command, std::string& plan) {
  command.add_option("--plan", plan,
                     "a file of JSON: what each layer of the language model sees and keeps, its "
                     "positions, guesses (see docs/engine.md)");
}

void ModelFlags::add_to(CLI::App& command) {
  command
      .add_option("--model", model, "a name that `longview models` lists, a folder or a .gguf file")
      ->capture_default_str();
  add_projector_flag(command, projector);
  add_plan_flag(command, plan);
  command
      .add_option("--device", device, "cpu, cuda or cuda:N: where language model and eyes compute")
      ->capture_default_str();
  command
      .add_option("--dtype", dtype,
                  "auto, float32, bfloat16 or float16; auto keeps weights as they are stored")
      ->capture_default_str();
  command.add_option(
      "--upstream", upstream,
      "NAME=HOST:PORT,... of stages that run elsewhere; HOST:PORT alone for all of them");
  command
      .add_option("--deadline", deadline_seconds,
                  "seconds after which a call to an upstream stage fails; 0 waits for ever")
      ->check(CLI::Range(0.0, 1e6));
}

services::WorkplaceOptions ModelFlags::workplace(const std::vector<std::string>& stages) const {
  services::WorkplaceOptions options;
  options.model = model;
  options.projector = projector;
  options.placement = parse_placement(device, dtype);
  if (!plan.empty()) options.plan = llm::read_plan(plan);
  if (!upstream.empty()) options.upstream = services::parse_upstream(upstream);
  options.stages = stages;
  options.deadline = std::chrono::milliseconds(std::llround(deadline_seconds * 1000));
  return options;
}

MediaRequest media_request(const std::string& path, const Sampling& sampling) {
  MediaRequest request;
  request.media = path;
  request.name = path;
  request.sampling = sampling;
  return request;
}

}  // namespace lv::apps
