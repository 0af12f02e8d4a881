#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::vision {

/// A convolution with its batch norm folded in, and ReLU6 if asked. Pads like TensorFlow's SAME:
/// with an odd amount, the last side gets one more. Immutable.
class FoldedConv {
 public:
  struct Shape {
    int64_t in, out, kernel, stride, groups;
  };

  /// Of a convolution that its norm is folded into already: reads `weight` and `bias`.
  FoldedConv(const WeightScope& conv, const Shape& shape, bool relu);
  /// Of a convolution without bias and the norm behind it.
  FoldedConv(const WeightScope& conv, const WeightScope& norm, const Shape& shape, double eps,
             bool relu);

  at::Tensor operator()(at::Tensor x) const;

 private:
  std::pair<int64_t, int64_t> padding(int64_t length) const;

  Shape shape_;
  bool relu_;
  at::Tensor weight_;  // [out, in / groups, k, k], channels last
  at::Tensor bias_;    // [out]
};

/// EfficientNet-Lite from pixels to the map behind its last block: no squeeze-and-excitation,
/// ReLU6, a stem of fixed width. Reads `stem_channels` and `stages` of the configuration.
/// Immutable. Reference: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional
/// Neural Networks, ICML 2019; tensorflow/tpu, models/official/efficientnet/lite.
class EfficientNetLiteTrunk {
 public:
  /// Where its checkpoint has the batch norms: as published, by the published names, or folded, as
  /// stem, blocks.N.layers.M.
  enum class Norms { kApart, kFolded };

  EfficientNetLiteTrunk(const Json& config, const WeightScope& scope, Norms norms);

  /// A picture [1, 3, H, W] to the maps [1, C, rows, columns] behind the blocks `taps`, which
  /// ascend.
  std::vector<at::Tensor> maps(const at::Tensor& picture, const std::vector<int64_t>& taps) const;

  int64_t blocks() const { return static_cast<int64_t>(blocks_.size()); }
  /// Of the map behind a block: its channels, and how many pixels one of its places covers a side.
  int64_t channels(int64_t block) const { return blocks_.at(static_cast<size_t>(block)).channels; }
  int64_t stride(int64_t block) const { return blocks_.at(static_cast<size_t>(block)).stride; }

 private:
  /// Widens by a 1x1 convolution, filters each channel by itself, narrows again; adds its input
  /// where the shape stays.
  struct Block {
    std::vector<FoldedConv> layers = {};
    bool adds_input = false;
    int64_t channels = 0, stride = 0;
  };

  at::Tensor through(const Block& block, const at::Tensor& input) const;

  std::vector<FoldedConv> stem_;  // one
  std::vector<Block> blocks_;
};

/// `batch_norm_eps` of a configuration, or what is usual.
double batch_norm_eps(const Json& config);

}  // namespace lv::vision
