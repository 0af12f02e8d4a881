#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/compression_comparison.h"
#include "apps/flags.h"
#include "llm/generate/language_model.h"
#include "llm/template/picture_layout.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "services/models/models.h"
#include "services/tasks/clip.h"
#include "services/tasks/scene.h"

namespace lv::apps {
namespace {

struct Flags {
  ModelFlags model;
  SamplingFlags sampling;
  ComparisonFlags comparison;
  std::string input;
  std::string question = "Describe what is shown in one sentence.";
};

std::vector<services::CompressionSpec> specs_of(const Method& method) {
  return {{method.name, method.params}};
}

/// A file, decoded once, and a question.
class FilePrompt : public ComparedPrompt {
 public:
  explicit FilePrompt(const Flags& flags)
      : flags_(flags),
        workplace_(services::open_workplace(flags.model.workplace({"decode", "encode", "compress"}),
                                            load_ms_)) {
    const services::WorkplaceOptions options = flags.model.workplace({});
    const Checkpoint checkpoint = open_checkpoint(services::language_checkpoint(options.model),
                                                  options.placement, options.projector);
    language_ = llm::load_language_model(checkpoint, options.plan);
    workplace_.stages.films.opening = llm::picture_layout(checkpoint.architecture()).film_opening;
    decode();
  }

  const llm::CausalLm& model() const override { return *language_->model(); }
  std::vector<int64_t> stop_ids() const override { return language_->stop_ids(); }
  int64_t context_tokens() const override { return language_->context_tokens(); }

  void check_method(const Method& method) const override {
    workplace_.stages.compress(specs_of(method));
  }

  VisualTokens encode(const Method& method) const override {
    return services::joined(
        collect(*workplace_.stages.encode(specs_of(method))->start(source_of(frames_))));
  }

  VisualContext compress(const Method& method, VisualTokens visual) const override {
    return collect(*workplace_.stages.compress(specs_of(method))
                        ->start(source_of_one(
                            ClipTokens{std::move(visual), std::nullopt, std::nullopt})))
        .at(0);
  }

  llm::EngineRequest read(const VisualTokens& visual, const CompressedTokens& left) const override {
    Prompt prompt;
    prompt.messages.push_back(services::message_about(services::scenes_of(seen_, visual, left),
                                                      flags_.question, workplace_.stages.films));
    const TokenSequence tokens = language_->read(prompt);
    llm::EngineRequest request;
    request.embeddings = language_->embed(tokens);
    request.positions = language_->positions(tokens);
    request.answer_position = language_->answer_position(tokens);
    request.pruning = llm::row_pruning(tokens);
    return request;
  }

  Json description() const override {
    Json out;
    out.set("model", flags_.model.model);
    out.set("device", flags_.model.device);
    out.set("frames", static_cast<int64_t>(seen_.sampling.size()));
    return out;
  }

 private:
  void decode() {
    MediaRequest request = media_request(
        flags_.input.empty() ? services::sample_clip() : flags_.input, flags_.sampling.sampling());
    request.sampling.rule = workplace_.stages.films.chosen(request.sampling.rule);
    seen_.sources.push_back({request.name, {}});
    frames_ = collect(*workplace_.stages.decode_video->start(source_of_one<MediaRequest>(request)));
    for (const FrameBatch& batch : frames_) {
      seen_.sources[0].media = batch.media;
      const at::Tensor pts = batch.pts_seconds.contiguous();
      for (int64_t t = 0; t < pts.size(0); ++t) {
        seen_.sampling.push_back({0, pts.const_data_ptr<double>()[t]});
      }
    }
  }

  const Flags& flags_;
  double load_ms_ = 0;
  services::Workplace workplace_;
  llm::LanguageModelPtr language_;
  std::vector<FrameBatch> frames_;
  services::TaskResult seen_;  // times and kind of what was decoded
};

}  // namespace

void add_bench_compress(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "compress", "Compare methods that leave fewer visual tokens with keeping all of them");
  command->add_option("--input", flags->input, "a video or picture; the sample clip if none");
  flags->sampling.add_to(*command);
  flags->comparison.add_to(*command);
  command->add_option("--question", flags->question, "what is asked")->capture_default_str();
  flags->model.add_to(*command);
  command->callback([flags] { compare_methods(FilePrompt(*flags), flags->comparison); });
}

}  // namespace lv::apps
