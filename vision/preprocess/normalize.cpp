#include "vision/preprocess/normalize.h"

#include <ATen/ATen.h>

#include <cstring>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv::vision {

std::array<double, 3> three_numbers(const Json& config, const char* key) {
  const Json::Array& values = config.at(key).as_array();
  check(values.size() == 3, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 3 numbers, got " + std::to_string(values.size()));
  return {values[0].as_double(), values[1].as_double(), values[2].as_double()};
}

Normalizer::Normalizer(double scale, const std::array<double, 3>& mean,
                       const std::array<double, 3>& std) {
  for (size_t c = 0; c < 3; ++c) {
    check(std[c] != 0, ErrorCode::kInvalidArgument, "image_std: expected no zero");
    // Single precision after the scaling, as the reference processors compute it.
    for (int byte = 0; byte < 256; ++byte) {
      const float scaled = static_cast<float>(byte * scale);
      table_[c][byte] = (scaled - static_cast<float>(mean[c])) / static_cast<float>(std[c]);
    }
  }
}

Normalizer Normalizer::from_config(const Json& config) {
  const double scale =
      config.get("do_rescale", true) ? config.get("rescale_factor", 1.0 / 255) : 1.0;
  if (!config.get("do_normalize", true)) return {scale, {0, 0, 0}, {1, 1, 1}};
  return {scale, three_numbers(config, "image_mean"), three_numbers(config, "image_std")};
}

at::Tensor Normalizer::on_device(at::Device device) const {
  static_assert(sizeof(table_) == 3 * 256 * sizeof(int32_t));
  std::array<int32_t, 3 * 256> bits;
  std::memcpy(bits.data(), table_.data(), sizeof(table_));
  return sent(bits, device).view(at::kFloat).view({3, 256});
}

at::Tensor Normalizer::operator()(const at::Tensor& picture) const {
  check_shape(picture, "picture", {-1, -1, 3});
  check_dtype(picture, "picture", at::kByte);
  const int64_t height = picture.size(0), width = picture.size(1);
  const at::Tensor dense =
      picture.stride(2) == 1 && picture.stride(1) == 3 ? picture : picture.contiguous();
  if (picture.is_cuda()) {
    const at::Tensor bytes = picture.permute({2, 0, 1}).reshape({3, -1}).to(at::kLong);
    return on_device(picture.device()).gather(1, bytes).view({3, height, width});
  }
  at::Tensor out = at::empty({3, height, width}, at::kFloat);
  float* planes[3];
  for (int c = 0; c < 3; ++c) planes[c] = out.data_ptr<float>() + c * height * width;
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* in = dense.const_data_ptr<uint8_t>() + y * dense.stride(0);
    for (int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) planes[c][y * width + x] = table_[c][in[x * 3 + c]];
    }
  }
  return out;
}

}  // namespace lv::vision
