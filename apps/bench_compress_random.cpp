#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/commands.h"
#include "apps/compression_comparison.h"
#include "apps/random_model.h"
#include "llm/models/models.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/compressors/compressors.h"
#include "vision/encoders/encode_stage.h"
#include "vision/encoders/load_eyes.h"

namespace lv::apps {
namespace {

struct Flags {
  ComparisonFlags comparison;
  std::string model = "tiny-seeing";
  std::string device = "cpu";
  std::string dtype = "auto";
  int64_t frames = 8;
  int64_t text_tokens = 64;
};

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

/// A made-up film of the encoder's size between made-up text, and models of random weights: what
/// times depend on is all there.
class RandomPrompt : public ComparedPrompt {
 public:
  explicit RandomPrompt(const Flags& flags)
      : flags_(flags),
        checkpoint_(random_model(flags.model, parse_placement(flags.device, flags.dtype))),
        eyes_(vision::load_eyes(checkpoint_)),
        model_(llm::make_model(checkpoint_)),
        frames_(film_of(flags.frames,
                        checkpoint_.config().at("vision_config").at("image_size").as_int())) {}

  const llm::CausalLm& model() const override { return *model_; }
  std::vector<int64_t> stop_ids() const override { return {}; }
  int64_t context_tokens() const override { return model_->shape().max_positions; }

  void check_method(const Method& method) const override { compressor(method); }

  VisualTokens encode(const Method& method) const override {
    vision::EncodeOptions options;
    options.max_frames = flags_.frames;
    if (method.name == "tome") {
      options.merging = vision::merging_for(vision::TomeParams(Params(method.params)), eyes_);
    }
    options.saliency = vision::wants_saliency(method.name);
    return vision::joined(collect(*vision::make_encode(eyes_, options)->start(source_of(frames_))));
  }

  VisualContext compress(const Method& method, VisualTokens visual) const override {
    return compressor(method)->map({std::move(visual), std::nullopt, std::nullopt});
  }

  llm::EngineRequest read(const VisualTokens&, const CompressedTokens& left) const override {
    const llm::ModelShape shape = model_->shape();
    const at::Tensor ids = at::arange(flags_.text_tokens, at::kLong) * 7919 % shape.vocabulary;
    const int64_t before = flags_.text_tokens / 2;
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
    out.set("model", "random:" + flags_.model);
    out.set("device", flags_.device);
    out.set("frames", flags_.frames);
    return out;
  }

 private:
  static vision::CompressorPtr compressor(const Method& method) {
    return vision::make_chain({vision::compressors().make(method.name, Params(method.params))});
  }

  const Flags& flags_;
  Checkpoint checkpoint_;
  vision::EncodeParts eyes_;
  std::unique_ptr<llm::CausalLm> model_;
  std::vector<FrameBatch> frames_;
};

}  // namespace

void add_bench_compress_random(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "compress-random", "The same with random weights and a made-up film, for times of a shape");
  std::string shapes;
  for (const std::string& name : random_models(/*seeing=*/true)) {
    shapes += (shapes.empty() ? "" : ", ") + name;
  }
  command->add_option("--model", flags->model, shapes)->capture_default_str();
  command->add_option("--device", flags->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--dtype", flags->dtype, "auto, float32, bfloat16 or float16")
      ->capture_default_str();
  command->add_option("--frames", flags->frames, "of the film, encoded at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--text-tokens", flags->text_tokens, "around the film")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  flags->comparison.add_to(*command);
  command->callback([flags] { compare_methods(RandomPrompt(*flags), flags->comparison); });
}

}  // namespace lv::apps
