#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "vision/encoders/image_encoder.h"

namespace lv::vision {

/// Runs an encoder. On a GPU, where a few pictures keep it less busy than launching its kernels
/// takes, it records them for each number and size of pictures that comes again, and replays that:
/// the same features in less time. Thread-safe; those who replay wait for one another.
class EncoderReplay {
 public:
  explicit EncoderReplay(ImageEncoderPtr encoder);
  ~EncoderReplay();

  /// As ImageEncoder::encode(), or MergingEncoder::encode_merged() if `merging` merges anything.
  /// Throws kUnimplemented if it does and the encoder's tokens cannot.
  PictureFeatures encode(const at::Tensor& pixels, const LayerMerging& merging = {}) const;

  const ImageEncoder& encoder() const { return *encoder_; }

 private:
  class Tapes;

  PictureFeatures run(const at::Tensor& pixels, const LayerMerging& merging) const;

  ImageEncoderPtr encoder_;
  std::unique_ptr<Tapes> tapes_;
};

}  // namespace lv::vision
