#include "services/tasks/shrinking.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "vision/preprocess/resample.h"

namespace lv::services {

std::pair<int64_t, int64_t> shrunk_sides(int64_t height, int64_t width, int64_t longest_side) {
  const int64_t longest = std::max(height, width);
  if (longest_side == 0 || longest <= longest_side) return {height, width};
  const double scale = static_cast<double>(longest_side) / static_cast<double>(longest);
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(side) * scale));
  };
  return {scaled(height), scaled(width)};
}

at::Tensor shrunk(const at::Tensor& pixels, int64_t longest_side) {
  const auto [height, width] = shrunk_sides(pixels.size(1), pixels.size(2), longest_side);
  if (height == pixels.size(1) && width == pixels.size(2)) return pixels;
  std::vector<at::Tensor> pictures;
  for (const at::Tensor& picture : pixels.unbind()) {
    pictures.push_back(vision::resample(picture, height, width, vision::Filter::kBicubic));
  }
  return at::stack(pictures);
}

}  // namespace lv::services
