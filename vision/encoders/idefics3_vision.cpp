#include <ATen/ATen.h>

#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {
namespace {

/// The index of each of `count` patches along one axis in a table of `side` positions: patch i lies
/// at i / count of the picture, and so does position i / side. In single precision, as the
/// published models were trained.
at::Tensor position_indices(int64_t count, int64_t side) {
  const double step = 1.0 / static_cast<double>(side);
  const at::Tensor boundaries = at::arange(step, 1.0, step, at::kFloat);
  const float width = 1.0f / static_cast<float>(count);
  const at::Tensor places = (at::arange(count, at::kFloat) * width).clamp_max(1.0 - 1e-6);
  return at::bucketize(places, boundaries, /*out_int32=*/false, /*right=*/true);
}

/// SigLIP's transformer for pictures of any size up to its own: the positions that were trained
/// are spread over whatever grid there is. SmolVLM's encoder is the same.
/// Reference: Laurencon et al., Building and better understanding vision-language models, 2024;
/// positions from Dehghani et al., Patch n' Pack: NaViT, NeurIPS 2023.
class Idefics3Vision : public MergingEncoder {
 public:
  Idefics3Vision(const Json& config, const WeightScope& scope)
      : shape_(VitShape::from_config(config)),
        patches_(scope / "embeddings" / "patch_embedding", shape_),
        positions_((scope / "embeddings" / "position_embedding")
                       .get("weight", {shape_.grid_side() * shape_.grid_side(), shape_.width})),
        layers_(vit_layers(scope, shape_)),
        after_(scope / "post_layernorm", shape_.width, shape_.eps) {}

  PictureFeatures encode_merged(const at::Tensor& pixels,
                                const LayerMerging& merging) const override {
    const at::Tensor patches = patches_.grid(pixels);  // [P, D, rows, columns]
    const int64_t side = shape_.grid_side(), rows = patches.size(2), columns = patches.size(3);
    const at::Tensor places =
        (position_indices(rows, side).unsqueeze(1) * side + position_indices(columns, side))
            .flatten()
            .to(positions_.device());
    const at::Tensor x = patches.flatten(2).transpose(1, 2) + positions_.index_select(0, places);
    const PatchGrid grid{static_cast<int32_t>(rows), static_cast<int32_t>(columns)};
    PictureFeatures out =
        stream_after({shape_.layers}, layers_, {x, grid}, merging, shape_.area_in_patches(pixels));
    out.features = after_(out.features);
    return out;
  }

  int64_t width() const override { return shape_.width; }
  const Linear* class_head() const override { return nullptr; }

 private:
  VitShape shape_;
  PatchEmbedding patches_;
  at::Tensor positions_;  // [side * side, D]
  std::vector<VitLayer> layers_;
  LayerNorm after_;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_idefics3_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<Idefics3Vision>(config, scope);
}

}  // namespace lv::vision
