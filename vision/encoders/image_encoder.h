#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "pipeline/base/json.h"
#include "pipeline/base/registry.h"
#include "pipeline/nn/linear.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/encoders/picture_features.h"

namespace lv::vision {

class MergingEncoder;

/// A network from pixels to a grid of features. Immutable and thread-safe.
class ImageEncoder {
 public:
  virtual ~ImageEncoder() = default;

  /// [P, 3, H, W] as its image processor makes them. Throws kInvalidArgument on sizes that it
  /// cannot take.
  virtual PictureFeatures encode(const at::Tensor& pixels) const = 0;

  /// How many frames of a film it reads as one picture: then it takes [P, T, 3, H, W], too.
  virtual int64_t frames_together() const { return 1; }

  /// D of the features.
  virtual int64_t width() const = 0;

  /// [..., D] -> [..., classes]: what a feature, or the mean of a picture's, shows. Null for an
  /// encoder that was not trained to name things.
  virtual const Linear* class_head() const = 0;

  /// The encoder as one whose tokens can merge between its layers. Null for one that needs its grid
  /// to the end, as convolutions and windows do.
  virtual const MergingEncoder* merging() const { return nullptr; }
};
using ImageEncoderPtr = std::shared_ptr<const ImageEncoder>;

/// An encoder whose layers see all tokens alike, whatever became of the grid.
class MergingEncoder : public ImageEncoder {
 public:
  PictureFeatures encode(const at::Tensor& pixels) const final { return encode_merged(pixels, {}); }
  const MergingEncoder* merging() const final { return this; }

  /// As encode(), with tokens merged as `merging` says. Throws kUnimplemented if features of
  /// several layers are read, which are of other tokens.
  virtual PictureFeatures encode_merged(const at::Tensor& pixels,
                                        const LayerMerging& merging) const = 0;
};

/// The table of encoders, by the configuration's architecture. A factory gets that configuration
/// and the place of its weights.
const Registry<ImageEncoder, const Json&, const WeightScope&>& encoders();

/// The encoder that a checkpoint holds, as float32 on the CPU. Throws if the checkpoint holds
/// tensors that it does not read.
ImageEncoderPtr make_image_encoder(const Checkpoint& checkpoint);

std::unique_ptr<ImageEncoder> make_clip_vision(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_efficientnet_lite(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_idefics3_vision(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_nano_vision(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_qwen2_5_vl_vision(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_siglip2_vision(const Json& config, const WeightScope& scope);
std::unique_ptr<ImageEncoder> make_siglip_vision(const Json& config, const WeightScope& scope);

}  // namespace lv::vision
