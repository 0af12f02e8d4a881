#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/nn/linear.h"
#include "pipeline/nn/norm.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/encoders/activation.h"
#include "vision/encoders/picture_features.h"

namespace lv::vision {

/// The sizes that CLIP's and SigLIP's configurations share.
struct VitShape {
  int64_t width, heads, mlp_width, layers, image_side, patch_side;
  double eps;
  std::string activation;  // quick_gelu | gelu | gelu_pytorch_tanh

  /// Throws kInvalidArgument on a size that is out of range or does not divide.
  static VitShape from_config(const Json& config);
  int64_t grid_side() const { return image_side / patch_side; }
  /// How many patches a picture [..., H, W] would take if none of it were left over.
  double area_in_patches(const at::Tensor& pixels) const;
};

/// A residual stream whose last addition waits for the norm that follows it.
struct Residual {
  at::Tensor x;           // [P, N, D]
  at::Tensor delta = {};  // [P, N, D], or undefined for nothing
  at::Tensor sum() const;
};

/// A pre-norm transformer layer over all patches of a picture. Immutable.
class VitLayer {
 public:
  VitLayer(const WeightScope& scope, const VitShape& shape);
  Residual operator()(Residual in) const;

  /// The first half: the stream with attention added, and the keys.
  struct Attended {
    Residual stream;
    at::Tensor keys;  // [P, H, N, Dh]
  };
  /// `bias`, if defined, is added to the logits, [P, 1, 1, N].
  Attended attend(Residual in, const at::Tensor& bias = {}) const;
  /// The attention that each place gets, [P, N] float32: the mean over heads of what the first
  /// place gives, or all do.
  at::Tensor attention_got(const Residual& in, bool from_first) const;
  /// The second half: the stream with the MLP added.
  Residual feed_forward(Residual in) const;

 private:
  LayerNorm norm1_, norm2_;
  LinearGroup qkv_;
  Linear out_, fc1_, fc2_;
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
/// after the last of them do not run; `enter`, if given, sees what enters that.
at::Tensor stream_after(const std::vector<int64_t>& read, const std::vector<VitLayer>& layers,
                        at::Tensor x,
                        const std::function<void(const VitLayer&, const Residual&)>& enter = {});

/// The same for what stands at the places of pictures; tokens merge as the pictures say. What
/// stands for the whole never merges. `patches` is the area of a picture, in patches. Throws
/// kUnimplemented if tokens are to merge and features of several layers are read, which would be of
/// other tokens.
PictureFeatures stream_after(const std::vector<int64_t>& read, const std::vector<VitLayer>& layers,
                             PictureFeatures x, const LayerMerging& merging, double patches);

/// `scope`, or its child "vision_model" where older files put everything.
WeightScope vision_root(const WeightScope& scope);

}  // namespace lv::vision
