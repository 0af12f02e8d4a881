#include "audio/encoders/whisper.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <utility>

#include "audio/encoders/token_table.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"

namespace lv::audio {
namespace {

constexpr double kNormEps = 1e-5;

/// [B, n, parts * D] -> `parts` tensors [B, H, n, D / H]
std::vector<at::Tensor> split_heads(const at::Tensor& x, int64_t parts, int64_t heads) {
  const at::Tensor split = x.view({x.size(0), x.size(1), parts, heads, x.size(2) / parts / heads});
  return split.permute({2, 0, 3, 1, 4}).unbind(0);
}

/// [B, H, n, Dh] -> [B, n, D]
at::Tensor join_heads(const at::Tensor& x) {
  return x.transpose(1, 2).reshape({x.size(0), x.size(2), x.size(1) * x.size(3)});
}

/// Several projections of the same input as one matrix. Whisper's keys have no bias.
Linear stacked(const WeightScope& scope, std::initializer_list<const char*> names, int64_t width) {
  std::vector<at::Tensor> weights, biases;
  for (const char* name : names) {
    const WeightScope child = scope / name;
    weights.push_back(child.get("weight", {width, width}));
    biases.push_back(child.has("bias") ? child.get("bias", {width})
                                       : at::zeros({width}, weights.back().options()));
  }
  return Linear(at::cat(weights), at::cat(biases));
}

int64_t positive(const Json& config, const char* key) {
  const int64_t value = config.at(key).as_int();
  check(value >= 1 && value <= (1 << 24), ErrorCode::kInvalidArgument,
        std::string("config.json: ") + key + ": expected 1 to 16777216, got " +
            std::to_string(value));
  return value;
}

WhisperShape read_shape(const Json& config) {
  WhisperShape shape;
  shape.width = positive(config, "d_model");
  shape.mels = positive(config, "num_mel_bins");
  shape.vocabulary = positive(config, "vocab_size");
  shape.source_positions = positive(config, "max_source_positions");
  shape.target_positions = positive(config, "max_target_positions");
  shape.encoder_layers = positive(config, "encoder_layers");
  shape.encoder_heads = positive(config, "encoder_attention_heads");
  shape.encoder_inner = positive(config, "encoder_ffn_dim");
  shape.decoder_layers = positive(config, "decoder_layers");
  shape.decoder_heads = positive(config, "decoder_attention_heads");
  shape.decoder_inner = positive(config, "decoder_ffn_dim");
  for (const int64_t heads : {shape.encoder_heads, shape.decoder_heads}) {
    check(shape.width % heads == 0, ErrorCode::kInvalidArgument,
          "config.json: expected d_model to be a multiple of the heads, got " +
              std::to_string(shape.width) + " and " + std::to_string(heads));
  }
  check(config.get("activation_function", "gelu") == "gelu", ErrorCode::kUnimplemented,
        "config.json: activation_function: expected gelu");
  check(!config.get("scale_embedding", false), ErrorCode::kUnimplemented,
        "config.json: scale_embedding: expected false");
  return shape;
}

void check_ids(const at::Tensor& ids, int64_t vocabulary) {
  check_dtype(ids, "ids", at::kLong);
  const at::Tensor all = ids.contiguous();
  for (int64_t i = 0; i < all.numel(); ++i) {
    const int64_t id = all.data_ptr<int64_t>()[i];
    if (id >= 0 && id < vocabulary) continue;
    throw Error(ErrorCode::kInvalidArgument, "ids: expected ids from 0 to " +
                                                 std::to_string(vocabulary - 1) + ", got " +
                                                 std::to_string(id));
  }
}

struct FeedForward {
  FeedForward(const WeightScope& scope, int64_t width, int64_t inner)
      : norm(scope / "final_layer_norm", width, kNormEps),
        up(scope / "fc1", width, inner),
        down(scope / "fc2", inner, width) {}

  at::Tensor operator()(const at::Tensor& x) const {
    at::Tensor inner = up(norm(x));
    return down(at::gelu_(inner));
  }

  LayerNorm norm;
  Linear up, down;
};

struct EncoderLayer {
  EncoderLayer(const WeightScope& scope, const WhisperShape& shape)
      : heads(shape.encoder_heads),
        norm(scope / "self_attn_layer_norm", shape.width, kNormEps),
        project(stacked(scope / "self_attn", {"q_proj", "k_proj", "v_proj"}, shape.width)),
        out(scope / "self_attn" / "out_proj", shape.width, shape.width),
        feed_forward(scope, shape.width, shape.encoder_inner) {}

  at::Tensor operator()(at::Tensor x) const {
    const auto parts = split_heads(project(norm(x)), 3, heads);
    x = x + out(join_heads(at::scaled_dot_product_attention(parts[0], parts[1], parts[2])));
    return x + feed_forward(x);
  }

  int64_t heads;
  LayerNorm norm;
  Linear project, out;
  FeedForward feed_forward;
};

struct DecoderLayer {
  DecoderLayer(const WeightScope& scope, const WhisperShape& shape)
      : norm(scope / "self_attn_layer_norm", shape.width, kNormEps),
        project(stacked(scope / "self_attn", {"q_proj", "k_proj", "v_proj"}, shape.width)),
        out(scope / "self_attn" / "out_proj", shape.width, shape.width),
        cross_norm(scope / "encoder_attn_layer_norm", shape.width, kNormEps),
        cross_query(scope / "encoder_attn" / "q_proj", shape.width, shape.width),
        cross_project(stacked(scope / "encoder_attn", {"k_proj", "v_proj"}, shape.width)),
        cross_out(scope / "encoder_attn" / "out_proj", shape.width, shape.width),
        feed_forward(scope, shape.width, shape.decoder_inner) {}

  LayerNorm norm;
  Linear project, out;
  LayerNorm cross_norm;
  Linear cross_query, cross_project, cross_out;
  FeedForward feed_forward;
};

}  // namespace

struct Whisper::Layers {
  Layers(const WeightScope& encoder_scope, const WeightScope& decoder_scope,
         const WhisperShape& shape)
      : conv1((encoder_scope / "conv1").get("weight", {shape.width, shape.mels, 3})),
        conv1_bias((encoder_scope / "conv1").get("bias", {shape.width})),
        conv2((encoder_scope / "conv2").get("weight", {shape.width, shape.width, 3})),
        conv2_bias((encoder_scope / "conv2").get("bias", {shape.width})),
        source_positions((encoder_scope / "embed_positions")
                             .get("weight", {shape.source_positions, shape.width})),
        encoder_norm(encoder_scope / "layer_norm", shape.width, kNormEps),
        embedding((decoder_scope / "embed_tokens").get("weight", {shape.vocabulary, shape.width})),
        target_positions((decoder_scope / "embed_positions")
                             .get("weight", {shape.target_positions, shape.width})),
        decoder_norm(decoder_scope / "layer_norm", shape.width, kNormEps) {
    for (int64_t i = 0; i < shape.encoder_layers; ++i) {
      encoder.emplace_back(encoder_scope / "layers" / i, shape);
    }
    for (int64_t i = 0; i < shape.decoder_layers; ++i) {
      decoder.emplace_back(decoder_scope / "layers" / i, shape);
    }
  }

  at::Tensor conv1, conv1_bias, conv2, conv2_bias;
  at::Tensor source_positions;
  std::vector<EncoderLayer> encoder;
  LayerNorm encoder_norm;
  TokenTable embedding;  // also the output layer
  at::Tensor target_positions;
  std::vector<DecoderLayer> decoder;
  LayerNorm decoder_norm;
};

void WhisperMemory::rewind(int64_t length) {
  check(length >= 0 && length <= length_, ErrorCode::kOutOfRange,
        "whisper memory: expected 0 to " + std::to_string(length_) + " tokens, got " +
            std::to_string(length));
  length_ = length;
}

Whisper::Whisper(const Checkpoint& checkpoint, at::Device device)
    : shape_(read_shape(checkpoint.config())) {
  const WeightScope model = checkpoint.root(at::kFloat, device) / "model";
  layers_ = std::make_unique<Layers>(model / "encoder", model / "decoder", shape_);
  checkpoint.finish({"proj_out.weight"});  // some files store the tied table twice
}

Whisper::~Whisper() = default;
Whisper::Whisper(Whisper&&) noexcept = default;

at::Tensor Whisper::encode(const at::Tensor& features) const {
  check_shape(features, "features", {-1, shape_.mels, 2 * shape_.source_positions});
  const Layers& all = *layers_;
  at::Tensor x = at::gelu(at::conv1d(features, all.conv1, all.conv1_bias, 1, 1));
  x = at::gelu(at::conv1d(x, all.conv2, all.conv2_bias, 2, 1));
  x = x.transpose(1, 2) + all.source_positions;  // [B, S, D]
  for (const EncoderLayer& layer : all.encoder) {
    check_cancelled();
    x = layer(std::move(x));
  }
  return all.encoder_norm(x);
}

WhisperMemory Whisper::remember(const at::Tensor& encoded) const {
  check_shape(encoded, "encoded", {-1, -1, shape_.width});
  const int64_t heads = shape_.decoder_heads;
  WhisperMemory memory;
  memory.batch_ = encoded.size(0);
  for (const DecoderLayer& layer : layers_->decoder) {
    const auto heard = split_heads(layer.cross_project(encoded), 2, heads);
    const auto empty = [&] {
      return at::empty({encoded.size(0), heads, shape_.target_positions, shape_.width / heads},
                       encoded.options());
    };
    memory.layers_.push_back({heard[0].contiguous(), heard[1].contiguous(), empty(), empty()});
  }
  return memory;
}

at::Tensor Whisper::decode(const at::Tensor& ids, WhisperMemory& memory) const {
  check_cancelled();
  check_shape(ids, "ids", {memory.batch_, -1});
  check_ids(ids, shape_.vocabulary);
  const int64_t count = ids.size(1);
  const int64_t past = memory.length_;
  const int64_t end = past + count;
  if (count < 1 || end > shape_.target_positions) {
    throw Error(ErrorCode::kOutOfRange, "whisper decoder: expected 1 to " +
                                            std::to_string(shape_.target_positions) +
                                            " tokens, got " + std::to_string(end));
  }
  const Layers& all = *layers_;
  const int64_t heads = shape_.decoder_heads;
  at::Tensor x = all.embedding.rows(ids.reshape({-1})).view({ids.size(0), count, shape_.width}) +
                 all.target_positions.slice(0, past, end);

  // A token sees itself and what came before: nothing to hide from a single one.
  at::Tensor mask;
  if (count > 1) mask = at::ones({count, end}, x.options().dtype(at::kBool)).tril(past);
  for (size_t i = 0; i < all.decoder.size(); ++i) {
    const DecoderLayer& layer = all.decoder[i];
    WhisperMemory::Layer& kept = memory.layers_[i];
    const auto said = split_heads(layer.project(layer.norm(x)), 3, heads);
    kept.said_keys.slice(2, past, end).copy_(said[1]);
    kept.said_values.slice(2, past, end).copy_(said[2]);
    x = x + layer.out(join_heads(at::scaled_dot_product_attention(
                said[0], kept.said_keys.slice(2, 0, end), kept.said_values.slice(2, 0, end),
                count > 1 ? std::optional<at::Tensor>(mask) : std::nullopt)));
    const auto query = split_heads(layer.cross_query(layer.cross_norm(x)), 1, heads);
    x = x + layer.cross_out(join_heads(
                at::scaled_dot_product_attention(query[0], kept.heard_keys, kept.heard_values)));
    x = x + layer.feed_forward(x);
  }
  memory.length_ = end;
  return all.decoder_norm(x);
}

at::Tensor Whisper::logits(const at::Tensor& hidden) const {
  return layers_->embedding.logits(hidden);
}

}  // namespace lv::audio
