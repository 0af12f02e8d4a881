#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "services/models/models.h"

namespace lv::apps {

/// Which pictures of a film to look at: --frames, --fps, --at, --key-frames, --scenes, --start,
/// --end.
class SamplingFlags {
 public:
  void add_to(CLI::App& command);
  Sampling sampling() const;

 private:
  int64_t frames_ = 0;
  double fps_ = 0;
  std::vector<double> at_;
  bool key_frames_ = false;
  double scenes_ = 0;
  double start_ = 0;
  std::optional<double> end_;
};

/// How the answer is written: --max-tokens, --temperature, --top-k, --top-p, --min-p,
/// --repetition-penalty, --seed, --stop, --json-schema.
void add_generation_flags(CLI::App& command, GenerationOptions& options);

/// --compressor NAME[:key=value,...][+NAME...], repeatable, and --keep R.
class CompressionFlags {
 public:
  void add_to(CLI::App& command);
  /// What was asked for; none for what is usual. --keep alone means the method `usual`.
  std::vector<services::CompressionSpec> specs(const std::string& usual = "tome") const;

 private:
  std::vector<std::string> compressors_;
  std::optional<double> keep_;
};

/// --mmproj FILE.
void add_projector_flag(CLI::App& command, std::string& projector);

/// --plan FILE.
void add_plan_flag(CLI::App& command, std::string& plan);

/// Where stages run: --model, --mmproj, --plan, --device, --dtype, and --upstream NAME=ADDRESS for
/// those that run elsewhere.
struct ModelFlags {
  std::string model = "nano";
  std::string projector;
  std::string plan;
  std::string device = "cpu";
  std::string dtype = "auto";
  std::string upstream;
  double deadline_seconds = 0;

  void add_to(CLI::App& command);
  /// What to open for these stages.
  services::WorkplaceOptions workplace(const std::vector<std::string>& stages) const;
};

/// A file as the stages take it. `path` names it in messages.
MediaRequest media_request(const std::string& path, const Sampling& sampling = {});

}  // namespace lv::apps
