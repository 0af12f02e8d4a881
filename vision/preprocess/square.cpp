#include "vision/preprocess/square.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/normalize.h"

namespace lv::vision {

SquarePicture on_square(const at::Tensor& picture, const std::array<uint8_t, 3>& colour) {
  check_shape(picture, "picture", {-1, -1, 3});
  check_dtype(picture, "picture", at::kByte);
  check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
  const int64_t height = picture.size(0), width = picture.size(1);
  const int64_t side = std::max(height, width);
  if (height == width) return {picture, at::tensor({0.f, 0.f, 1.f, 1.f})};
  const int64_t top = (side - height) / 2, left = (side - width) / 2;
  at::Tensor square = at::empty({side, side, 3}, picture.options());
  for (int64_t c = 0; c < 3; ++c) square.select(2, c).fill_(colour[static_cast<size_t>(c)]);
  square.narrow(0, top, height).narrow(1, left, width).copy_(picture);
  const auto fraction = [](int64_t part, int64_t of) {
    return static_cast<float>(part) / static_cast<float>(of);
  };
  return {square, at::tensor({fraction(-left, width), fraction(-top, height),
                              fraction(side - left, width), fraction(side - top, height)})};
}

std::array<uint8_t, 3> mean_colour(const Json& config) {
  if (config.find("image_mean") == nullptr) return {0, 0, 0};
  std::array<uint8_t, 3> colour{};
  const std::array<double, 3> mean = three_numbers(config, "image_mean");
  for (size_t c = 0; c < 3; ++c) {
    colour[c] = static_cast<uint8_t>(std::clamp(mean[c], 0.0, 1.0) * 255);
  }
  return colour;
}

}  // namespace lv::vision
