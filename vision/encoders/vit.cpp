#include "vision/encoders/vit.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/kernels/token_matching.h"

namespace lv::vision {
namespace {

int64_t size_of(const Json& config, const char* key) {
  const int64_t size = config.at(key).as_int();
  check(size >= 1 && size <= 1 << 16, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to 65536, got " + std::to_string(size));
  return size;
}

using Clock = std::chrono::steady_clock;

/// Tokens on their way through layers between whose halves they merge.
class MergingStream {
 public:
  MergingStream(PictureFeatures begin, const LayerMerging& merging)
      : begin_(std::move(begin)), merging_(merging), state_(unmerged(begin_.features)) {}

  void pass(const VitLayer& layer, int64_t pairs) {
    check_cancelled();
    const VitLayer::Attended attended = layer.attend({state_.features, delta_}, bias());
    state_.features = attended.stream.x;
    const Clock::time_point start = Clock::now();
    state_ =
        merge(state_, match_keys(attended.keys, pairs, begin_.whole > 0), attended.stream.delta);
    took_ += Clock::now() - start;
    Residual stream = layer.feed_forward({state_.features});
    state_.features = std::move(stream.x);
    delta_ = std::move(stream.delta);
  }

  PictureFeatures finish() {
    state_.features = Residual{state_.features, delta_}.sum();
    if (merging_.order == LayerMerging::Order::kReading) state_ = in_reading_order(state_);
    return {state_.features, begin_.grid, begin_.whole,
            MergedPlaces{state_.row_of, state_.sizes, likeness(), took_.count()}};
  }

 private:
  /// On the logits of keys that stand for several patches. While none does, there is none.
  at::Tensor bias() const {
    const bool merged = state_.sizes.size(1) < state_.row_of.size(1);
    if (!merged || merging_.attention == LayerMerging::Attention::kPlain) return {};
    return state_.sizes.log().to(state_.features.scalar_type()).unsqueeze(1).unsqueeze(1);
  }

  at::Tensor likeness() const {
    const at::Tensor before = begin_.features.to(at::kFloat);  // [P, places, D]
    const at::Tensor rows = state_.row_of.unsqueeze(2).expand_as(before);
    const at::Tensor means =
        at::zeros({before.size(0), state_.sizes.size(1), before.size(2)}, before.options())
            .scatter_add_(1, rows, before)
            .div_(state_.sizes.unsqueeze(2));
    return at::cosine_similarity(before, means.gather(1, rows), 2).slice(1, begin_.whole).mean(1);
  }

  const PictureFeatures begin_;
  const LayerMerging merging_;
  MergeState state_;
  at::Tensor delta_;  // that the last layer adds to the state's features
  std::chrono::duration<double, std::milli> took_{0};
};

/// [P, N, H Dh] -> [P, H, N, Dh].
at::Tensor by_heads(const at::Tensor& y, int64_t heads) {
  return y.view({y.size(0), y.size(1), heads, -1}).transpose(1, 2);
}

}  // namespace

VitShape VitShape::from_config(const Json& config) {
  VitShape shape{size_of(config, "hidden_size"),       size_of(config, "num_attention_heads"),
                 size_of(config, "intermediate_size"), size_of(config, "num_hidden_layers"),
                 size_of(config, "image_size"),        size_of(config, "patch_size"),
                 config.get("layer_norm_eps", 1e-5),   config.at("hidden_act").as_string()};
  check(shape.width % shape.heads == 0, ErrorCode::kInvalidArgument,
        "hidden_size: expected a multiple of " + std::to_string(shape.heads) + " heads, got " +
            std::to_string(shape.width));
  check(shape.patch_side <= shape.image_side, ErrorCode::kInvalidArgument,
        "patch_size: expected at most " + std::to_string(shape.image_side) + ", got " +
            std::to_string(shape.patch_side));
  return shape;
}

double VitShape::area_in_patches(const at::Tensor& pixels) const {
  return static_cast<double>(pixels.size(-2) * pixels.size(-1)) /
         static_cast<double>(patch_side * patch_side);
}

at::Tensor Residual::sum() const { return delta.defined() ? x + delta : x; }

VitLayer::VitLayer(const WeightScope& scope, const VitShape& shape)
    : norm1_(scope / "layer_norm1", shape.width, shape.eps),
      norm2_(scope / "layer_norm2", shape.width, shape.eps),
      qkv_({Linear(scope / "self_attn" / "q_proj", shape.width, shape.width),
            Linear(scope / "self_attn" / "k_proj", shape.width, shape.width),
            Linear(scope / "self_attn" / "v_proj", shape.width, shape.width)}),
      out_(scope / "self_attn" / "out_proj", shape.width, shape.width),
      fc1_(scope / "mlp" / "fc1", shape.width, shape.mlp_width),
      fc2_(scope / "mlp" / "fc2", shape.mlp_width, shape.width),
      heads_(shape.heads),
      activation_(activation_named(shape.activation, "hidden_act")) {}

VitLayer::Attended VitLayer::attend(Residual in, const at::Tensor& bias) const {
  auto [x, normed] = norm1_.of_sum(in.x, in.delta);
  in = {};  // nobody needs them apart any more
  const std::vector<at::Tensor> qkv = qkv_(normed);
  const at::Tensor keys = by_heads(qkv[1], heads_);
  const at::Tensor mixed =
      at::scaled_dot_product_attention(by_heads(qkv[0], heads_), keys, by_heads(qkv[2], heads_),
                                       bias.defined() ? std::make_optional(bias) : std::nullopt);
  at::Tensor delta = out_(mixed.transpose(1, 2).reshape(x.sizes()));
  return {{std::move(x), std::move(delta)}, keys};
}

at::Tensor VitLayer::attention_got(const Residual& in, bool from_first) const {
  const auto [x, normed] = norm1_.of_sum(in.x, in.delta);
  const std::vector<at::Tensor> qkv = qkv_(normed);
  at::Tensor queries = by_heads(qkv[0], heads_);
  if (from_first) queries = queries.slice(2, 0, 1);
  const at::Tensor keys = by_heads(qkv[1], heads_);
  const double scale = 1 / std::sqrt(static_cast<double>(keys.size(3)));
  at::Tensor sum = at::zeros({keys.size(0), keys.size(2)}, keys.options().dtype(at::kFloat));
  for (int64_t h = 0; h < heads_; ++h) {  // a head at a time: [P, N, N] are many
    const at::Tensor logits =
        at::matmul(queries.select(1, h), keys.select(1, h).transpose(1, 2)) * scale;
    sum = sum + at::softmax(logits, -1, at::kFloat).mean(1);
  }
  return sum / heads_;
}

Residual VitLayer::feed_forward(Residual in) const {
  auto [x, normed] = norm2_.of_sum(in.x, in.delta);
  in = {};
  return {std::move(x), fc2_(activation_(fc1_(normed)))};
}

Residual VitLayer::operator()(Residual in) const {
  check_cancelled();
  Residual half = attend(std::move(in)).stream;  // and lets go of the keys
  return feed_forward(std::move(half));
}

PatchEmbedding::PatchEmbedding(const WeightScope& scope, const VitShape& shape)
    : image_side_(shape.image_side),
      patch_side_(shape.patch_side),
      weight_(scope.get("weight", {shape.width, 3, shape.patch_side, shape.patch_side})) {
  if (scope.has("bias")) bias_ = scope.get("bias", {shape.width});
}

at::Tensor PatchEmbedding::operator()(const at::Tensor& pixels) const {
  check_shape(pixels, "pixels", {-1, 3, image_side_, image_side_});
  return grid(pixels).flatten(2).transpose(1, 2);
}

at::Tensor PatchEmbedding::grid(const at::Tensor& pixels) const {
  check_shape(pixels, "pixels", {-1, 3, -1, -1});
  check(pixels.size(2) >= patch_side_ && pixels.size(3) >= patch_side_, ErrorCode::kInvalidArgument,
        "pixels: expected a patch of " + std::to_string(patch_side_) + " pixels at least, got " +
            shape_text(pixels.sizes()));
  return at::conv2d(pixels.to(weight_.options()), weight_, bias_, patch_side_);
}

std::vector<VitLayer> vit_layers(const WeightScope& scope, const VitShape& shape) {
  std::vector<VitLayer> layers;
  for (int64_t i = 0; i < shape.layers; ++i) {
    layers.emplace_back(scope / "encoder" / "layers" / i, shape);
  }
  return layers;
}

std::vector<int64_t> layers_read(const Json& config, const VitShape& shape) {
  const Json* key = config.find("vision_feature_layer");
  if (key == nullptr || key->is_null()) return {};
  const Json::Array one{*key};
  std::vector<int64_t> read;
  for (const Json& each : key->is_array() ? key->as_array() : one) {
    const int64_t layer = each.as_int();
    read.push_back(layer < 0 ? shape.layers + 1 + layer : layer);
    check(read.back() >= 0 && read.back() <= shape.layers, ErrorCode::kInvalidArgument,
          "vision_feature_layer: expected one of " + std::to_string(shape.layers) +
              " layers, got " + std::to_string(layer));
  }
  check(!read.empty(), ErrorCode::kInvalidArgument,
        "vision_feature_layer: expected at least one layer, got none");
  return read;
}

at::Tensor stream_after(const std::vector<int64_t>& read, const std::vector<VitLayer>& layers,
                        at::Tensor x,
                        const std::function<void(const VitLayer&, const Residual&)>& enter) {
  std::vector<at::Tensor> chosen(read.size());
  const int64_t last = *std::max_element(read.begin(), read.end());
  Residual stream{std::move(x)};
  for (int64_t i = 0; i <= last; ++i) {
    if (i == last && i > 0 && enter) enter(layers.at(i - 1), stream);
    if (i > 0) stream = layers.at(i - 1)(std::move(stream));
    for (size_t k = 0; k < read.size(); ++k) {
      if (read[k] == i) chosen[k] = stream.sum();
    }
  }
  return chosen.size() == 1 ? chosen.front() : at::cat(chosen, -1);
}

PictureFeatures stream_after(const std::vector<int64_t>& read, const std::vector<VitLayer>& layers,
                             PictureFeatures x, const LayerMerging& merging, double patches) {
  const std::vector<int64_t> pairs =
      pairs_per_layer(merging, patches, static_cast<int64_t>(layers.size()));
  if (std::ranges::all_of(pairs, [](int64_t each) { return each == 0; })) {
    std::function<void(const VitLayer&, const Residual&)> enter;
    if (merging.tell_saliency) {
      enter = [&x](const VitLayer& layer, const Residual& stream) {
        x.saliency = layer.attention_got(stream, x.whole > 0);
      };
    }
    x.features = stream_after(read, layers, std::move(x.features), enter);
    return x;
  }
  check(read.size() == 1, ErrorCode::kUnimplemented,
        "merging between layers: expected features of one layer, got those of " +
            std::to_string(read.size()));
  MergingStream stream(std::move(x), merging);
  for (int64_t i = 0; i < read.front(); ++i) stream.pass(layers.at(i), pairs.at(i));
  return stream.finish();
}

WeightScope vision_root(const WeightScope& scope) {
  return scope.has_child("vision_model") ? scope / "vision_model" : scope;
}

}  // namespace lv::vision
