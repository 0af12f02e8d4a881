#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "vision/compressors/decoder_layer.h"
#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

constexpr int64_t kHeads = 16;  // of the generators' attention, whatever their width
constexpr double kEps = 1e-5;

int64_t size_of(const Json& config, const char* key) {
  const int64_t size = config.at(key).as_int();
  check(size >= 1 && size <= 1 << 20, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to 1048576, got " + std::to_string(size));
  return size;
}

struct VloraShape {
  int64_t visual_width, places;  // of a picture's features
  int64_t width, depth;          // of the generators
  int64_t llm_width, llm_layers, kv_width;
  int64_t rank, every;  // weights go to each layer whose number, from 1, is a multiple of `every`
  std::string kinds;    // in the order of the weights: q, k, v, o, and m beside the MLP
  double scale;
  bool separate;  // a generator for each kind

  VloraShape(const Json& config, const WeightScope& scope)
      : visual_width(size_of(config, "vlora_visual_dim")),
        places(size_of(config, "vlora_pos_num")),
        width(scope.shape("visual_proj.weight").at(0)),
        depth(size_of(config, "vlora_depth")),
        llm_width(size_of(config, "vlora_llm_dim")),
        llm_layers(size_of(config, "vlora_llm_depth")),
        kv_width(llm_width),
        rank(size_of(config, "vlora_rank")),
        every(size_of(config, "skip_layers")),
        kinds(config.get("vlora_type", "qkvom")),
        scale(config.get("vlora_alpha", static_cast<double>(rank)) / static_cast<double>(rank)),
        separate(config.get("weights_sep", true)) {
    check(width % kHeads == 0, ErrorCode::kInvalidArgument,
          "visual_proj.weight: expected a multiple of " + std::to_string(kHeads) + " rows, got " +
              std::to_string(width));
    check(every <= llm_layers, ErrorCode::kInvalidArgument,
          "skip_layers: expected at most " + std::to_string(llm_layers) + ", got " +
              std::to_string(every));
    for (const char kind : kinds) {
      check(std::string("qkvom").find(kind) != std::string::npos &&
                std::ranges::count(kinds, kind) == 1,
            ErrorCode::kInvalidArgument,
            "vlora_type: expected each of q, k, v, o and m once at most, got " + kinds);
    }
    if (config.find("num_key_value_heads") == nullptr) return;
    const int64_t kv_heads = size_of(config, "num_key_value_heads");
    kv_width = llm_width * kv_heads / size_of(config, "num_attention_heads");
    check(kv_width >= 1 && kv_width <= llm_width, ErrorCode::kInvalidArgument,
          "num_key_value_heads: expected at most num_attention_heads, got " +
              std::to_string(kv_heads));
  }

  int64_t slots() const { return llm_layers / every; }
};

/// Learned queries that look at a picture, each of which becomes one matrix.
class Generator {
 public:
  Generator(const WeightScope& scope, const VloraShape& shape, int64_t matrices)
      : queries_(scope.get("queries", {1, matrices, shape.width})[0]),
        norm_(scope / "norm", shape.width, kEps),
        head_(scope / "weights_head", shape.width, shape.llm_width * shape.rank) {
    for (int64_t i = 0; i < shape.depth; ++i) {
      layers_.emplace_back(scope / "decoders" / i, shape.width, kHeads, DecoderLayer::Norms::kFirst,
                           [](const at::Tensor& x) { return at::gelu(x); });
    }
  }

  /// [places, m] -> [matrices, llm_width * rank]
  at::Tensor operator()(const at::Tensor& features) const {
    at::Tensor x = queries_;
    for (const DecoderLayer& layer : layers_) {
      check_cancelled();
      x = layer(x, features);
    }
    return head_(norm_(x));
  }

 private:
  at::Tensor queries_;  // [matrices, m]
  LayerNorm norm_;
  Linear head_;
  std::vector<DecoderLayer> layers_;
};

/// Where a kind of weight is in its layer.
std::string module_of(char kind) {
  if (kind == 'm') return ".mlp";
  std::string module = ".self_attn.q_proj";
  module[module.find('q')] = kind;
  return module;
}

/// Turns a picture into low-rank weights of the language model instead of tokens that it reads: for
/// every kind of weight and every few layers, one factor that the picture decides and one that was
/// learned.
/// Reference: Ma et al., Visual Perception by Large Language Model's Weights, NeurIPS 2024,
/// section 3. Differs: where keys and values have fewer heads, they take the first rows of the
/// learned factor.
class Vlora : public Compressor {
 public:
  Vlora(const Json& config, const WeightScope& scope)
      : shape_(config, scope),
        project_(scope / "visual_proj", shape_.visual_width, shape_.width),
        positions_(scope.get("pos_embed", {1, shape_.places, shape_.width})[0]) {
    const auto kinds = static_cast<int64_t>(shape_.kinds.size()), slots = shape_.slots();
    learned_ = (scope.get("Bs", {1, kinds * slots, shape_.llm_width * shape_.rank}) * shape_.scale)
                   .view({kinds, slots, shape_.llm_width, shape_.rank});
    const WeightScope generators = scope / "gen";
    if (!shape_.separate) {
      generators_.emplace_back(generators, shape_, kinds * slots);
      return;
    }
    for (int64_t i = 0; i < kinds; ++i) generators_.emplace_back(generators / i, shape_, slots);
  }

  /// Features of one picture to what it makes the model wear; of none, to nothing.
  VisualContext map(ClipTokens clip) const override {
    const int64_t pictures = clip.visual.offsets.size(0) - 1;
    if (pictures == 0) return AdapterWeights();
    check(pictures == 1, ErrorCode::kInvalidArgument,
          "vlora: expected one picture, whose weights the model wears, got " +
              std::to_string(pictures));
    check_shape(clip.visual.features, "vlora: visual.features",
                {shape_.places, shape_.visual_width});
    const at::Tensor features =
        project_(clip.visual.features.to(positions_.options())) + positions_;  // [places, m]
    std::vector<at::Tensor> seen;
    for (const Generator& generator : generators_) seen.push_back(generator(features));
    return worn(at::cat(seen).view(learned_.sizes()));
  }

 private:
  /// `seen` [kinds, slots, llm_width, r] are what the picture decides.
  AdapterWeights worn(const at::Tensor& seen) const {
    AdapterWeights weights;
    for (int64_t layer = shape_.every - 1; layer < shape_.llm_layers; layer += shape_.every) {
      const std::string scope = "model.layers." + std::to_string(layer);
      for (size_t i = 0; i < shape_.kinds.size(); ++i) {
        const char kind = shape_.kinds[i];
        const int64_t slot = layer / shape_.every;
        const at::Tensor up = learned_[static_cast<int64_t>(i)][slot];
        weights.push_back({scope + module_of(kind), seen[static_cast<int64_t>(i)][slot].t(),
                           kind == 'k' || kind == 'v' ? up.slice(0, 0, shape_.kv_width) : up});
      }
    }
    return weights;
  }

  VloraShape shape_;
  Linear project_;
  at::Tensor positions_;  // [places, m]
  at::Tensor learned_;    // [kinds, slots, llm_width, r]
  std::vector<Generator> generators_;
};

}  // namespace

std::unique_ptr<Compressor> make_vlora(const Checkpoint& part) {
  return std::make_unique<Vlora>(part.config(), part.root());
}

}  // namespace lv::vision
