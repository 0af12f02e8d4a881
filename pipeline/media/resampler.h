#pragma once

#include <vector>

#include "pipeline/media/ffmpeg.h"

namespace lv {

/// Turns decoded sound of any format into one channel of floats in [-1, 1] at a fixed rate. The
/// channels are mixed as swresample does by default. Not thread-safe.
class Resampler {
 public:
  explicit Resampler(int sample_rate_hz) : rate_(sample_rate_hz) {}

  /// Appends what comes out so far; a change of format on the way drains what went before.
  void convert(const AVFrame& sound, std::vector<float>& out);
  /// Appends the rest. The next sound starts afresh.
  void drain(std::vector<float>& out);

 private:
  void open(const AVFrame& sound);
  void run(const AVFrame* sound, std::vector<float>& out);

  const int rate_;
  UniqueSwrContext swr_;
  int in_rate_ = 0;
  int in_format_ = -1;
  int in_channels_ = 0;
};

}  // namespace lv
