#include "apps/file_prompt.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "llm/generate/language_model.h"
#include "llm/template/picture_layout.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "services/models/models.h"
#include "services/tasks/clip.h"
#include "services/tasks/scene.h"

namespace lv::apps {
namespace {

std::vector<services::CompressionSpec> specs_of(const Method& method) {
  return {{method.name, method.params}};
}

class FilePrompt : public ComparedPrompt {
 public:
  FilePrompt(const ModelFlags& model, FilmQuestion asked)
      : model_(model),
        asked_(std::move(asked)),
        workplace_(
            services::open_workplace(model.workplace({"decode", "encode", "compress"}), load_ms_)) {
    const services::WorkplaceOptions options = model.workplace({});
    const Checkpoint checkpoint = open_checkpoint(services::language_checkpoint(options.model),
                                                  options.placement, options.projector);
    language_ = llm::load_language_model(checkpoint, options.plan);
    workplace_.stages.films.opening = llm::picture_layout(checkpoint.architecture()).film_opening;
    decode();
  }

  const std::shared_ptr<const llm::CausalLm>& model() const override { return language_->model(); }
  std::vector<int64_t> stop_ids() const override { return language_->stop_ids(); }
  int64_t context_tokens() const override { return language_->context_tokens(); }

  void check_method(const Method& method) const override {
    workplace_.stages.compress(specs_of(method));
  }

  const std::vector<FrameBatch>& frames() const override { return frames_; }

  VisualTokens encode(const Method& method, std::vector<FrameBatch> frames) const override {
    return services::joined(
        collect(*workplace_.stages.encode(specs_of(method))->start(source_of(std::move(frames)))));
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
                                                      asked_.question, workplace_.stages.films));
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
    out.set("model", model_.model);
    out.set("device", model_.device);
    out.set("frames", static_cast<int64_t>(seen_.sampling.size()));
    return out;
  }

 private:
  void decode() {
    MediaRequest request = media_request(
        asked_.input.empty() ? services::sample_clip() : asked_.input, asked_.sampling);
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

  const ModelFlags model_;
  const FilmQuestion asked_;
  double load_ms_ = 0;
  services::Workplace workplace_;
  llm::LanguageModelPtr language_;
  std::vector<FrameBatch> frames_;
  services::TaskResult seen_;  // times and kind of what was decoded
};

}  // namespace

std::unique_ptr<const ComparedPrompt> file_prompt(const ModelFlags& model, FilmQuestion asked) {
  return std::make_unique<FilePrompt>(model, std::move(asked));
}

}  // namespace lv::apps
