#include "vision/decode/scene_change.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace lv::vision {

SceneChange::SceneChange()
    : thumbnail_(at::empty({kWidth * kHeight * 3 + ColorConverter::kSlackBytes}, at::kByte)
                     .narrow(0, 0, kWidth * kHeight * 3)
                     .view({kHeight, kWidth, 3})) {}

double SceneChange::from_last(const Picture& picture) {
  converter_.to_small_rgb(*picture.frame, thumbnail_);
  const uint8_t* rgb = thumbnail_.const_data_ptr<uint8_t>();
  constexpr int kPixels = kWidth * kHeight;
  std::array<float, kBins> histogram{};
  double difference = 0;
  for (int i = 0; i < kPixels; ++i, rgb += 3) {
    const float luma = 0.299F * rgb[0] + 0.587F * rgb[1] + 0.114F * rgb[2];
    difference += std::abs(luma - luma_[i]);
    luma_[i] = luma;
    const float bin = luma * (kBins - 1) / 255;
    const int low = std::min(static_cast<int>(bin), kBins - 2);
    histogram[low] += static_cast<float>(low) + 1 - bin;
    histogram[low + 1] += bin - static_cast<float>(low);
  }
  double distance = 0;
  for (int b = 0; b < kBins; ++b) distance += std::abs(histogram[b] - histogram_[b]);
  histogram_ = histogram;
  if (std::exchange(first_, false)) return 1;
  return std::clamp(std::max(difference / 255, distance / 2) / kPixels, 0.0, 1.0);
}

}  // namespace lv::vision
