#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "llm/mixers/mamba_mixer.h"
#include "llm/models/models.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/norm.h"

namespace lv::llm {
namespace {

int64_t size_of(const Json& config, const char* key, int64_t fallback) {
  const int64_t size = fallback > 0 ? config.get(key, fallback) : config.at(key).as_int();
  check(size > 0 && size <= (1 << 24), ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to 16777216, got " + std::to_string(size));
  return size;
}

MambaSizes read_mixer(const Json& config) {
  MambaSizes sizes;
  sizes.width = size_of(config, "hidden_size", 0);
  sizes.channels = size_of(config, "expand", 2) * sizes.width;
  sizes.states = size_of(config, "state_size", 16);
  sizes.conv_width = size_of(config, "conv_kernel", 4);
  const Json* rank = config.find("time_step_rank");
  const bool given = rank != nullptr && rank->is_int();  // else "auto"
  sizes.time_step_rank = given ? size_of(config, "time_step_rank", 0) : (sizes.width + 15) / 16;
  const std::string activation = config.get("hidden_act", "silu");
  check(activation == "silu", ErrorCode::kUnimplemented,
        "hidden_act: expected silu, got " + activation);
  return sizes;
}

struct MambaLayer {
  MambaLayer(const WeightScope& scope, const MambaSizes& sizes, double eps)
      : norm(scope / "norm", sizes.width, eps), mixer(scope / "mixer", sizes) {}
  RmsNorm norm;
  MambaMixer mixer;
};

/// RMS norm and mixer, over and over. Remembers states of fixed size and no keys.
class Mamba : public CausalLm {
 public:
  Mamba(const WeightScope& root, const Json& config)
      : sizes_(read_mixer(config)),
        shape_(read_shape(root, config, sizes_.width)),
        wide_residual_(config.get("residual_in_fp32", true)),
        embedding_(root / "backbone" / embedding_name(root), shape_.vocabulary, shape_.width),
        norm_(root / "backbone" / "norm_f", shape_.width, config.get("layer_norm_epsilon", 1e-5)),
        head_(config.get("tie_word_embeddings", true)
                  ? Linear(embedding_.table(), at::Tensor())
                  : Linear(root / "lm_head", shape_.width, shape_.vocabulary)) {
    for (int64_t i = 0; i < shape_.layers; ++i) {
      layers_.emplace_back(root / "backbone" / "layers" / i, sizes_,
                           config.get("layer_norm_epsilon", 1e-5));
    }
  }

  ModelShape shape() const override { return shape_; }

  at::Tensor embed(const at::Tensor& ids) const override { return embedding_(ids); }

  at::Tensor forward(const PackedBatch& batch, Memory memory) const override {
    check_batch(batch, shape_.width);
    const at::ScalarType dtype = batch.embeddings.scalar_type();
    at::Tensor x = batch.embeddings.to(wide_residual_ ? at::kFloat : dtype, false, /*copy=*/true);
    for (size_t i = 0; i < layers_.size(); ++i) {
      check_cancelled();
      x.add_(layers_[i].mixer(layers_[i].norm(x.to(dtype)), batch, static_cast<int64_t>(i),
                              memory.states));
    }
    const int32_t* offsets = batch.offsets.const_data_ptr<int32_t>();
    for (size_t s = 0; s < batch.sequences.size(); ++s) {
      memory.states.advance(batch.sequences[s], offsets[s + 1] - offsets[s]);
    }
    return norm_(x.to(dtype));
  }

  at::Tensor logits(const at::Tensor& hidden) const override {
    return head_(hidden).to(at::kFloat);
  }

 private:
  static ModelShape read_shape(const WeightScope& root, const Json& config, int64_t width) {
    ModelShape shape;
    shape.dtype = root.dtype();
    shape.device = root.device();
    shape.layers = size_of(config, "num_hidden_layers", 0);
    shape.width = width;
    shape.vocabulary = size_of(config, "vocab_size", 0);
    // Nothing ends the reading of a recurrent model; its training did not go further.
    shape.max_positions = size_of(config, "max_position_embeddings", 2048);
    return shape;
  }

  /// The authors' own files have it in the singular.
  static const char* embedding_name(const WeightScope& root) {
    return (root / "backbone").has_child("embedding") ? "embedding" : "embeddings";
  }

  MambaSizes sizes_;
  ModelShape shape_;
  bool wide_residual_;
  Embedding embedding_;
  RmsNorm norm_;
  Linear head_;
  std::vector<MambaLayer> layers_;
};

}  // namespace

/// Reference: Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces,
/// arXiv 2312.00752.
std::unique_ptr<CausalLm> make_mamba(const Checkpoint& checkpoint, const LayerPlan& plan) {
  check(plan.layers.empty() && !plan.rope && !plan.retain, ErrorCode::kInvalidArgument,
        "plan: a Mamba model has no attention layers, positions or keys to plan");
  return std::make_unique<Mamba>(checkpoint.root(), checkpoint.config());
}

}  // namespace lv::llm
