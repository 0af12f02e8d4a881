#include "vision/encoders/clip_vision.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

std::vector<int64_t> layers_to_read(const Json& config, const VitShape& shape) {
  const std::vector<int64_t> read = layers_read(config, shape);
  return read.empty() ? std::vector<int64_t>{shape.layers - 1} : read;
}

bool keeps_class(const Json& config) {
  const std::string strategy = config.get("vision_feature_select_strategy", "default");
  check(strategy == "default" || strategy == "full", ErrorCode::kInvalidArgument,
        "vision_feature_select_strategy: expected default or full, got " + strategy);
  return strategy == "full";
}

}  // namespace

ClipVision::ClipVision(const Json& config, const WeightScope& scope)
    : shape_(VitShape::from_config(config)),
      read_(layers_to_read(config, shape_)),
      keep_class_(keeps_class(config)),
      patches_(vision_root(scope) / "embeddings" / "patch_embedding", shape_),
      class_token_((vision_root(scope) / "embeddings").get("class_embedding", {shape_.width})),
      positions_((vision_root(scope) / "embeddings" / "position_embedding")
                     .get("weight", {shape_.grid_side() * shape_.grid_side() + 1, shape_.width})),
      before_(vision_root(scope) / "pre_layrnorm", shape_.width, shape_.eps),
      layers_(vit_layers(vision_root(scope), shape_)) {}

at::Tensor ClipVision::embedded(const at::Tensor& pixels) const {
  const at::Tensor patches = patches_(pixels);  // [P, N, D]
  const at::Tensor first = class_token_.expand({patches.size(0), 1, shape_.width});
  return before_(at::cat({first, patches}, 1) + positions_);
}

at::Tensor ClipVision::hidden(const at::Tensor& pixels, int64_t layers) const {
  return stream_after({layers}, layers_, embedded(pixels));
}

PictureFeatures ClipVision::encode_merged(const at::Tensor& pixels,
                                          const LayerMerging& merging) const {
  const auto side = static_cast<int32_t>(shape_.grid_side());
  const PictureFeatures features =
      stream_after(read_, layers_, {embedded(pixels), {side, side}, /*whole=*/1}, merging,
                   shape_.area_in_patches(pixels));
  return keep_class_ ? features : without_whole(features);
}

std::unique_ptr<ImageEncoder> make_clip_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<ClipVision>(config, scope);
}

}  // namespace lv::vision
