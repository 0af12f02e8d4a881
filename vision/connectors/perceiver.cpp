#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "vision/connectors/connector.h"
#include "vision/encoders/activation.h"

namespace lv::vision {
namespace {

int64_t count_of(const Json& config, const char* key, int64_t fallback, int64_t most) {
  const int64_t count = config.get(key, fallback);
  check(count >= 1 && count <= most, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to " + std::to_string(most) + ", got " +
            std::to_string(count));
  return count;
}

/// down(activation(gate(x)) * up(x)).
class GatedMlp {
 public:
  GatedMlp(const WeightScope& scope, int64_t in, int64_t out, const Json& config)
      : width_((scope / "gate_proj").shape("weight").at(0)),
        gate_(scope / "gate_proj", in, width_),
        up_(scope / "up_proj", in, width_),
        down_(scope / "down_proj", width_, out),
        activation_(activation_named(config.get("hidden_act", "silu"), "hidden_act")) {}

  at::Tensor operator()(const at::Tensor& x) const { return down_(activation_(gate_(x)) * up_(x)); }

 private:
  int64_t width_;
  Linear gate_, up_, down_;
  Activation activation_;
};

struct ResamplerShape {
  int64_t width, heads, kv_heads, head_size;
  double eps;
};

/// The latents look at the picture and at themselves.
class ResamplerLayer {
 public:
  ResamplerLayer(const WeightScope& scope, const ResamplerShape& shape, const Json& config)
      : shape_(shape),
        latents_norm_(scope / "input_latents_norm", shape.width, shape.eps),
        context_norm_(scope / "input_context_norm", shape.width, shape.eps),
        after_norm_(scope / "post_attention_layernorm", shape.width, shape.eps),
        q_(scope / "self_attn" / "q_proj", shape.width, shape.heads * shape.head_size),
        k_(scope / "self_attn" / "k_proj", shape.width, shape.kv_heads * shape.head_size),
        v_(scope / "self_attn" / "v_proj", shape.width, shape.kv_heads * shape.head_size),
        out_(scope / "self_attn" / "o_proj", shape.heads * shape.head_size, shape.width),
        mlp_(scope / "mlp", shape.width, shape.width, config) {}

  /// latents [P, L, D], context [P, N, D] -> [P, L, D]
  at::Tensor operator()(const at::Tensor& latents, const at::Tensor& context) const {
    check_cancelled();
    const at::Tensor queries = latents_norm_(latents);
    const at::Tensor seen = at::cat({context_norm_(context), queries}, 1);
    const at::Tensor mixed = at::scaled_dot_product_attention(split(q_(queries), shape_.heads),
                                                              split(k_(seen), shape_.kv_heads),
                                                              split(v_(seen), shape_.kv_heads));
    const at::Tensor attended = latents + out_(mixed.transpose(1, 2).flatten(2));
    return attended + mlp_(after_norm_(attended));
  }

 private:
  /// [P, n, heads * Dh] -> [P, H, n, Dh], each head of keys for as many heads of queries.
  at::Tensor split(const at::Tensor& x, int64_t heads) const {
    return x.unflatten(2, {heads, shape_.head_size})
        .transpose(1, 2)
        .repeat_interleave(shape_.heads / heads, 1);
  }

  ResamplerShape shape_;
  RmsNorm latents_norm_, context_norm_, after_norm_;
  Linear q_, k_, v_, out_;
  GatedMlp mlp_;
};

/// Idefics2's: features are brought to the language model's width, then as many tokens as there are
/// learned latents ask all of a picture, of whatever size, for what they stand for. No token has a
/// place in the picture.
/// Reference: Jaegle et al., Perceiver, ICML 2021; Laurencon et al., What matters when building
/// vision-language models?, 2024, section 3.3; layers as in transformers'
/// Idefics2PerceiverResampler.
class Perceiver : public Connector {
 public:
  Perceiver(const Json& config, const WeightScope& scope, int64_t encoder_width)
      : latents_((scope / "perceiver_resampler").get("latents", {-1, -1})),
        project_(scope / "modality_projection", encoder_width, latents_.size(1),
                 config.at("text_config")),
        after_(scope / "perceiver_resampler" / "norm", latents_.size(1), shape_of(config).eps) {
    const Json& own = resampler(config);
    const WeightScope layers = scope / "perceiver_resampler" / "layers";
    const int64_t depth = count_of(own, "resampler_depth", 3, 64);
    for (int64_t i = 0; i < depth; ++i) layers_.emplace_back(layers / i, shape_of(config), own);
  }

  PictureFeatures connect(const PictureFeatures& pictures) const override {
    const at::Tensor context = project_(pictures.features);
    at::Tensor latents = latents_.expand({context.size(0), -1, -1});
    for (const ResamplerLayer& layer : layers_) latents = layer(latents, context);
    return {after_(latents), {}, latents_.size(0)};
  }
  /// The latents weigh all features alike: one that stands for several would count too little.
  bool needs_grid() const override { return true; }

 private:
  static const Json& resampler(const Json& config) {
    static const Json none = Json::Object();
    const Json* own = config.find("perceiver_config");
    return own != nullptr && own->is_object() ? *own : none;
  }

  ResamplerShape shape_of(const Json& config) const {
    const Json& own = resampler(config);
    ResamplerShape shape{latents_.size(1), count_of(own, "resampler_n_heads", 16, 1024),
                         count_of(own, "num_key_value_heads", 4, 1024),
                         count_of(own, "resampler_head_dim", 96, 4096),
                         own.get("rms_norm_eps", 1e-6)};
    check(shape.heads % shape.kv_heads == 0, ErrorCode::kInvalidArgument,
          "num_key_value_heads: expected a divisor of " + std::to_string(shape.heads) + ", got " +
              std::to_string(shape.kv_heads));
    // Where it does not say the language model's width, it has the language model's eps, too.
    if (own.get("hidden_size", 4096) != shape.width) {
      shape.eps = config.at("text_config").get("rms_norm_eps", 1e-6);
    }
    return shape;
  }

  at::Tensor latents_;  // [L, D]
  GatedMlp project_;
  RmsNorm after_;
  std::vector<ResamplerLayer> layers_;
};

}  // namespace

std::unique_ptr<Connector> make_perceiver(const Json& config, const WeightScope& scope,
                                          int64_t encoder_width) {
  return std::make_unique<Perceiver>(config, scope, encoder_width);
}

}  // namespace lv::vision
