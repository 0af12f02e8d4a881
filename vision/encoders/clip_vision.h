#pragma once

#include <vector>

#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {

/// CLIP's vision transformer. As an encoder it gives what language models read: the output of the
/// layer that `vision_feature_layer` names (-2, the last but one, unless the configuration says
/// otherwise), without the class token.
/// Reference: Radford et al., Learning Transferable Visual Models From Natural Language
/// Supervision, ICML 2021.
class ClipVision : public ImageEncoder {
 public:
  ClipVision(const Json& config, const WeightScope& scope);

  PictureFeatures encode(const at::Tensor& pixels) const override;
  int64_t width() const override { return shape_.width; }
  const Linear* class_head() const override { return nullptr; }

  /// The residual stream after `layers` layers, the class token first, before any final norm:
  /// [P, 3, S, S] -> [P, 1 + N, D].
  at::Tensor hidden(const at::Tensor& pixels, int64_t layers) const;
  int64_t layer_count() const { return shape_.layers; }

 private:
  VitShape shape_;
  int64_t feature_layers_;  // that encode() runs
  PatchEmbedding patches_;
  at::Tensor class_token_;  // [D]
  at::Tensor positions_;    // [1 + N, D]
  LayerNorm before_;
  std::vector<VitLayer> layers_;
};

}  // namespace lv::vision
