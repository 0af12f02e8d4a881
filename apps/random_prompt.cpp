#include "apps/random_prompt.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "apps/random_model.h"
#include "llm/models/models.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/compressors/compressors.h"
#include "vision/encoders/encode_stage.h"
#include "vision/encoders/load_eyes.h"

namespace lv::apps {
namespace {

/// Two pictures of noise, between which a film goes over.
std::vector<FrameBatch> film_of(int64_t frames, int64_t side) {
  at::manual_seed(2);
  const at::Tensor first = at::rand({side, side, 3}), last = at::rand({side, side, 3});
  const at::Tensor part = at::linspace(0, 1, frames).view({frames, 1, 1, 1});
  FrameBatch film;
  film.pixels = (255 * (first + (last - first) * part)).to(at::kByte);
  film.pts_seconds = at::arange(frames, at::kDouble);
  film.media.kind = MediaKind::kVideo;
  film.film_frames = frames;
  return {film};
}

class RandomPrompt : public ComparedPrompt {
 public:
  explicit RandomPrompt(const RandomPromptOptions& options)
      : options_(options),
        checkpoint_(random_model(options.model, parse_placement(options.device, options.dtype))),
        eyes_(vision::load_eyes(checkpoint_)),
        model_(llm::make_model(checkpoint_)),
        frames_(film_of(options.frames,
                        checkpoint_.config().at("vision_config").at("image_size").as_int())) {}

  const std::shared_ptr<const llm::CausalLm>& model() const override { return model_; }
  std::vector<int64_t> stop_ids() const override { return {}; }
  int64_t context_tokens() const override { return model_->shape().max_positions; }

  void check_method(const Method& method) const override { compressor(method); }

  const std::vector<FrameBatch>& frames() const override { return frames_; }

  VisualTokens encode(const Method& method, std::vector<FrameBatch> frames) const override {
    vision::EncodeOptions encoding;
    if (method.name == "tome") {
      encoding.merging = vision::merging_for(vision::TomeParams(Params(method.params)), eyes_);
    }
    encoding.saliency = vision::wants_saliency(method.name);
    return vision::joined(
        collect(*vision::make_encode(eyes_, encoding)->start(source_of(std::move(frames)))));
  }

  VisualContext compress(const Method& method, VisualTokens visual) const override {
    return compressor(method)->map({std::move(visual), std::nullopt, std::nullopt});
  }

  llm::EngineRequest read(const VisualTokens&, const CompressedTokens& left) const override {
    const llm::ModelShape shape = model_->shape();
    const at::Tensor ids = at::arange(options_.text_tokens, at::kLong) * 7919 % shape.vocabulary;
    const int64_t before = options_.text_tokens / 2;
    const TextTokens first{ids.slice(0, 0, before)}, last{ids.slice(0, before)};
    llm::EngineRequest request;
    request.embeddings =
        at::cat({model_->embed(first.ids), left.embeddings.to(shape.device, shape.dtype),
                 model_->embed(last.ids)});
    request.pruning = llm::row_pruning({{first, left, last}, {}, {}});
    return request;
  }

  Json description() const override {
    Json out;
    out.set("model", "random:" + options_.model);
    out.set("device", options_.device);
    out.set("frames", options_.frames);
    return out;
  }

 private:
  static vision::CompressorPtr compressor(const Method& method) {
    return vision::make_chain({vision::compressors().make(method.name, Params(method.params))});
  }

  const RandomPromptOptions options_;
  Checkpoint checkpoint_;
  vision::EncodeParts eyes_;
  std::shared_ptr<const llm::CausalLm> model_;
  std::vector<FrameBatch> frames_;
};

}  // namespace

std::unique_ptr<const ComparedPrompt> random_prompt(const RandomPromptOptions& options) {
  return std::make_unique<RandomPrompt>(options);
}

}  // namespace lv::apps
