#pragma once

#include <vector>

#include "vision/encoders/image_encoder.h"
#include "vision/encoders/vit.h"

namespace lv::vision {

/// CLIP's vision transformer. As an encoder it gives what language models read: the output of the
/// layers that `vision_feature_layer` names (-2, the last but one, unless the configuration says
/// otherwise), without the class token unless `vision_feature_select_strategy` is "full".
/// Reference: Radford et al., Learning Transferable Visual Models From Natural Language
/// Supervision, ICML 2021.
class ClipVision : public MergingEncoder {
 public:
  ClipVision(const Json& config, const WeightScope& scope);

  PictureFeatures encode_merged(const at::Tensor& pixels,
                                const LayerMerging& merging) const override;
  int64_t width() const override { return shape_.width * static_cast<int64_t>(read_.size()); }
  const Linear* class_head() const override { return nullptr; }

  /// The residual stream after `layers` layers, the class token first, before any final norm:
  /// [P, 3, S, S] -> [P, 1 + N, D].
  at::Tensor hidden(const at::Tensor& pixels, int64_t layers) const;
  int64_t layer_count() const { return shape_.layers; }

 private:
  at::Tensor embedded(const at::Tensor& pixels) const;

  VitShape shape_;
  std::vector<int64_t> read_;  // layers whose output encode() gives
  bool keep_class_;            // whether it gives the class token, too
  PatchEmbedding patches_;
  at::Tensor class_token_;  // [D]
  at::Tensor positions_;    // [1 + N, D]
  LayerNorm before_;
  std::vector<VitLayer> layers_;
};

}  // namespace lv::vision
