#include <ATen/ATen.h>

#include <cmath>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {
namespace {

/// The configuration with the side that its table of positions stands for.
Json with_image_size(Json config) {
  const int64_t patches = config.get("num_patches", 256);
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(patches))));
  check(patches >= 1 && patches <= 1 << 20 && side * side == patches, ErrorCode::kInvalidArgument,
        "num_patches: expected the square of a number, got " + std::to_string(patches));
  config.set("image_size", side * config.at("patch_size").as_int());
  return config;
}

/// SigLIP 2 for pictures of any shape ("NaFlex"): the trained positions are scaled to the picture's
/// grid. The features are the normed output of the last layer or, where the configuration names
/// layers, the residual stream after those. The pooling head is not read.
/// Reference: Tschannen et al., SigLIP 2: Multilingual Vision-Language Encoders, 2025, section 2.4.
class Siglip2Vision : public MergingEncoder {
 public:
  Siglip2Vision(const Json& config, const WeightScope& scope)
      : shape_(VitShape::from_config(with_image_size(config))),
        read_(layers_read(config, shape_)),
        projection_((vision_root(scope) / "embeddings" / "patch_embedding")
                        .get("weight", {shape_.width, 3 * shape_.patch_side * shape_.patch_side})
                        .view({shape_.width, shape_.patch_side, shape_.patch_side, 3})
                        .permute({0, 3, 1, 2})
                        .contiguous()),
        bias_((vision_root(scope) / "embeddings" / "patch_embedding").get("bias", {shape_.width})),
        positions_((vision_root(scope) / "embeddings" / "position_embedding")
                       .get("weight", {shape_.grid_side() * shape_.grid_side(), shape_.width})
                       .view({1, shape_.grid_side(), shape_.grid_side(), shape_.width})
                       .permute({0, 3, 1, 2})
                       // LibTorch 2.11 scales to one column wrongly where channels come last.
                       .contiguous()),
        layers_(vit_layers(vision_root(scope), shape_)),
        after_(vision_root(scope) / "post_layernorm", shape_.width, shape_.eps) {}

  PictureFeatures encode_merged(const at::Tensor& pixels,
                                const LayerMerging& merging) const override {
    check_shape(pixels, "pixels", {-1, 3, -1, -1});
    const int64_t side = shape_.patch_side;
    check(pixels.size(2) % side == 0 && pixels.size(3) % side == 0 && pixels.size(2) > 0 &&
              pixels.size(3) > 0,
          ErrorCode::kInvalidArgument,
          "pixels: expected whole patches of " + std::to_string(side) + " pixels, got " +
              shape_text(pixels.sizes()));
    const at::Tensor patches =
        at::conv2d(pixels.to(projection_.options()), projection_, bias_, side);  // [P, D, R, C]
    const int64_t rows = patches.size(2), columns = patches.size(3);
    const at::Tensor places =
        at::_upsample_bilinear2d_aa(positions_.to(at::kFloat), {rows, columns},
                                    /*align_corners=*/false)
            .to(patches.scalar_type());
    const at::Tensor x = (patches + places).flatten(2).transpose(1, 2);
    const PatchGrid grid{static_cast<int32_t>(rows), static_cast<int32_t>(columns)};
    const bool normed = read_.empty();
    PictureFeatures out = stream_after(normed ? std::vector<int64_t>{shape_.layers} : read_,
                                       layers_, {x, grid}, merging, shape_.area_in_patches(pixels));
    if (normed) out.features = after_(out.features);
    return out;
  }

  int64_t width() const override {
    return shape_.width * std::max<int64_t>(1, static_cast<int64_t>(read_.size()));
  }
  const Linear* class_head() const override { return nullptr; }

 private:
  VitShape shape_;
  std::vector<int64_t> read_;  // layers whose output encode() gives; none: the normed last
  at::Tensor projection_;      // [D, 3, S, S]
  at::Tensor bias_;
  at::Tensor positions_;  // [1, D, side, side]
  std::vector<VitLayer> layers_;
  LayerNorm after_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_siglip2_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<Siglip2Vision>(config, scope);
}

}  // namespace lv::vision
