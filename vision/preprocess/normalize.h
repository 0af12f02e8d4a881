#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "pipeline/base/json.h"

namespace lv::vision {

/// (byte * scale - mean) / std for each channel, from a table of the 256 bytes. Immutable.
class Normalizer {
 public:
  Normalizer(double scale, const std::array<double, 3>& mean, const std::array<double, 3>& std);

  /// What preprocessor_config.json asks for: do_rescale, rescale_factor, do_normalize, image_mean,
  /// image_std. Throws kInvalidArgument on a list of other than three numbers or a std of zero.
  static Normalizer from_config(const Json& config);

  /// [H, W, 3] uint8 -> [3, H, W] float32, where the picture is. Rows may be strided.
  at::Tensor operator()(const at::Tensor& picture) const;

 private:
  at::Tensor on_device(at::Device device) const;  // the table

  std::array<std::array<float, 256>, 3> table_;
};

/// The numbers of the three channels. Throws kInvalidArgument on other than three.
std::array<double, 3> three_numbers(const Json& config, const char* key);

}  // namespace lv::vision
