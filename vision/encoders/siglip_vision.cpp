#include <ATen/ATen.h>

#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {
namespace {

/// SigLIP's vision transformer: no class token, and the features are the normed output of the last
/// layer. The pooling head is not read.
/// Reference: Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023.
class SiglipVision : public ImageEncoder {
 public:
  SiglipVision(const Json& config, const WeightScope& scope)
      : shape_(VitShape::from_config(config)),
        patches_(vision_root(scope) / "embeddings" / "patch_embedding", shape_),
        positions_((vision_root(scope) / "embeddings" / "position_embedding")
                       .get("weight", {shape_.grid_side() * shape_.grid_side(), shape_.width})),
        layers_(vit_layers(vision_root(scope), shape_)),
        after_(vision_root(scope) / "post_layernorm", shape_.width, shape_.eps) {}

  PictureFeatures encode(const at::Tensor& pixels) const override {
    at::Tensor x = patches_(pixels) + positions_;
    for (const VitLayer& layer : layers_) x = layer(x);
    const auto side = static_cast<int32_t>(shape_.grid_side());
    return {after_(x), {side, side}};
  }

  int64_t width() const override { return shape_.width; }
  const Linear* class_head() const override { return nullptr; }

 private:
  VitShape shape_;
  PatchEmbedding patches_;
  at::Tensor positions_;  // [N, D]
  std::vector<VitLayer> layers_;
  LayerNorm after_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_siglip_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<SiglipVision>(config, scope);
}

}  // namespace lv::vision
