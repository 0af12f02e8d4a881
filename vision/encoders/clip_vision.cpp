#include "vision/encoders/clip_vision.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

int64_t layers_to_run(const Json& config, int64_t layers) {
  const int64_t layer = config.get("vision_feature_layer", -2);
  const int64_t run = layer < 0 ? layers + 1 + layer : layer;  // 0 is the embedding itself
  check(run >= 0 && run <= layers, ErrorCode::kInvalidArgument,
        "vision_feature_layer: expected one of " + std::to_string(layers) + " layers, got " +
            std::to_string(layer));
  return run;
}

}  // namespace

ClipVision::ClipVision(const Json& config, const WeightScope& scope)
    : shape_(VitShape::from_config(config)),
      feature_layers_(layers_to_run(config, shape_.layers)),
      patches_(vision_root(scope) / "embeddings" / "patch_embedding", shape_),
      class_token_((vision_root(scope) / "embeddings").get("class_embedding", {shape_.width})),
      positions_((vision_root(scope) / "embeddings" / "position_embedding")
                     .get("weight", {shape_.grid_side() * shape_.grid_side() + 1, shape_.width})),
      before_(vision_root(scope) / "pre_layrnorm", shape_.width, shape_.eps),
      layers_(vit_layers(vision_root(scope), shape_)) {}

at::Tensor ClipVision::hidden(const at::Tensor& pixels, int64_t layers) const {
  const at::Tensor patches = patches_(pixels);  // [P, N, D]
  const at::Tensor first = class_token_.expand({patches.size(0), 1, shape_.width});
  at::Tensor x = before_(at::cat({first, patches}, 1) + positions_);
  for (int64_t i = 0; i < layers; ++i) x = layers_.at(i)(x);
  return x;
}

PictureFeatures ClipVision::encode(const at::Tensor& pixels) const {
  const auto side = static_cast<int32_t>(shape_.grid_side());
  return {hidden(pixels, feature_layers_).slice(1, 1), {side, side}};
}

std::unique_ptr<ImageEncoder> make_clip_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<ClipVision>(config, scope);
}

}  // namespace lv::vision
