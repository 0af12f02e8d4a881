#include <ATen/ATen.h>

#include <optional>

#include "pipeline/base/error.h"
#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {
namespace {

/// SigLIP's vision transformer: no class token. The features are the normed output of the last
/// layer or, where the configuration names layers (`vision_feature_layer`), the residual stream
/// after those, without the norm. The pooling head is not read.
/// Reference: Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023; layers as in
/// transformers' LlavaForConditionalGeneration.
class SiglipVision : public MergingEncoder {
 public:
  SiglipVision(const Json& config, const WeightScope& scope)
      : shape_(VitShape::from_config(config)),
        read_(layers_read(config, shape_)),
        patches_(vision_root(scope) / "embeddings" / "patch_embedding", shape_),
        positions_((vision_root(scope) / "embeddings" / "position_embedding")
                       .get("weight", {shape_.grid_side() * shape_.grid_side(), shape_.width})),
        layers_(vit_layers(vision_root(scope), shape_)) {
    check(config.get("vision_feature_select_strategy", "full") == "full",
          ErrorCode::kInvalidArgument,
          "vision_feature_select_strategy: expected full for an encoder without a class token");
    if (read_.empty()) {
      after_.emplace(vision_root(scope) / "post_layernorm", shape_.width, shape_.eps);
      read_ = {shape_.layers};
    }
  }

  PictureFeatures encode_merged(const at::Tensor& pixels,
                                const LayerMerging& merging) const override {
    const auto side = static_cast<int32_t>(shape_.grid_side());
    PictureFeatures x = stream_after(read_, layers_, {patches_(pixels) + positions_, {side, side}},
                                     merging, shape_.area_in_patches(pixels));
    if (after_) x.features = (*after_)(x.features);
    return x;
  }

  int64_t width() const override { return shape_.width * static_cast<int64_t>(read_.size()); }
  const Linear* class_head() const override { return nullptr; }

 private:
  VitShape shape_;
  std::vector<int64_t> read_;  // layers whose output encode() gives
  PatchEmbedding patches_;
  at::Tensor positions_;  // [N, D]
  std::vector<VitLayer> layers_;
  std::optional<LayerNorm> after_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_siglip_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<SiglipVision>(config, scope);
}

}  // namespace lv::vision
