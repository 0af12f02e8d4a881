#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/kernels/nv12_to_rgb.h"
#include "pipeline/media/ffmpeg.h"

namespace lv {

/// How a picture's own matrix and range turn it into RGB, as ColorConverter reads them.
YuvToRgb yuv_to_rgb(const AVFrame& picture);

/// Turns decoded pictures into RGB. Not thread-safe.
///
/// The colour matrix and range are the picture's own; where it does not say, BT.709 for 720 lines
/// and more, BT.601 below, and limited range. What is transparent is laid over white. Pixels that
/// are not square stay as they are stored. A picture on a GPU is converted there where that is
/// where `rgb` is, else it is fetched first.
class ColorConverter {
 public:
  /// Writes the picture into `rgb`, contiguous [H, W, 3] uint8, which on the CPU must be followed
  /// by kSlackBytes that may be overwritten.
  void to_rgb(const AVFrame& picture, at::Tensor& rgb);
  /// The same, scaled to fit `rgb`'s [H, W]; for thumbnails.
  void to_small_rgb(const AVFrame& picture, at::Tensor& rgb);

  /// An uninitialised picture, or several, on the CPU, with its slack.
  static at::Tensor empty_rgb(at::IntArrayRef sizes);

  /// swscale writes whole vectors.
  static constexpr int64_t kSlackBytes = 64;

 private:
  void convert(const AVFrame& picture, at::Tensor& rgb, int flags);
  void convert_here(const AVFrame& picture, at::Tensor& rgb, int flags);
  void scale(const AVFrame& picture, AVPixelFormat to, uint8_t* into, int width, int height,
             int flags);

  UniqueSwsContext scaler_;
};

}  // namespace lv
