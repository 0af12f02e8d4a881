#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/encoders/activation.h"

namespace lv::vision {

/// The sizes that CLIP's and SigLIP's configurations share.
struct VitShape {
  int64_t width, heads, mlp_width, layers, image_side, patch_side;
  double eps;
  std::string activation;  // quick_gelu | gelu | gelu_pytorch_tanh

  /// Throws kInvalidArgument on a size that is out of range or does not divide.
  static VitShape from_config(const Json& config);
  int64_t grid_side() const { return image_side / patch_side; }
};

/// A pre-norm transformer layer over all patches of a picture. Immutable.
class VitLayer {
 public:
  VitLayer(const WeightScope& scope, const VitShape& shape);
  /// [P, N, D] -> [P, N, D]
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor attention(const at::Tensor& x) const;

  LayerNorm norm1_, norm2_;
  Linear q_, k_, v_, out_, fc1_, fc2_;
  int64_t heads_;
  Activation activation_;
};

/// Pictures cut into patches, each projected. Immutable.
class PatchEmbedding {
 public:
  PatchEmbedding(const WeightScope& scope, const VitShape& shape);
  /// [P, 3, S, S] -> [P, N, D], row by row. Throws kInvalidArgument on another size than the
  /// shape's.
  at::Tensor operator()(const at::Tensor& pixels) const;
  /// [P, 3, H, W] of any size -> [P, D, rows, columns]. What fills no patch is not seen. Throws
  /// kInvalidArgument on a picture smaller than a patch.
  at::Tensor grid(const at::Tensor& pixels) const;

 private:
  int64_t image_side_, patch_side_;
  at::Tensor weight_, bias_;  // bias undefined if the checkpoint has none
};

/// The layers below `scope` / "encoder" / "layers".
std::vector<VitLayer> vit_layers(const WeightScope& scope, const VitShape& shape);

/// The layers after which a language model reads the features, by the configuration's
/// `vision_feature_layer`: a number or a list of them, 0 the embedding itself, -1 the last. Empty
/// if it does not say. Throws kInvalidArgument on a layer that is not there.
std::vector<int64_t> layers_read(const Json& config, const VitShape& shape);

/// The residual stream after each of these layers, side by side: [P, N, D] -> [P, N, n D]. Layers
/// after the last of them do not run.
at::Tensor stream_after(const std::vector<int64_t>& read, const std::vector<VitLayer>& layers,
                        at::Tensor x);

/// `scope`, or its child "vision_model" where older files put everything.
WeightScope vision_root(const WeightScope& scope);

}  // namespace lv::vision
