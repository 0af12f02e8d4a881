#pragma once

#include <ATen/core/Tensor.h>

#include <array>

#include "pipeline/media/color_converter.h"
#include "pipeline/media/film.h"

namespace lv::vision {

/// How much each picture differs from the one before. Not thread-safe.
///
/// On thumbnails of 64 x 36: the larger of the mean difference of luma and half the L1 distance of
/// the histograms of luma (32 bins, shared linearly between neighbours, so that noise moves
/// little).
class SceneChange {
 public:
  SceneChange();
  /// In [0, 1]; 1 for the first picture.
  double from_last(const Picture& picture);

 private:
  static constexpr int kWidth = 64, kHeight = 36, kBins = 32;

  ColorConverter converter_;
  at::Tensor thumbnail_;  // [36, 64, 3]
  std::array<float, kWidth * kHeight> luma_{};
  std::array<float, kBins> histogram_{};
  bool first_ = true;
};

}  // namespace lv::vision
