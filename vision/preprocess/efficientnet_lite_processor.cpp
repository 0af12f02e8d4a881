#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

constexpr int64_t kCropMargin = 32;  // pixels around the crop, at the encoder's scale
constexpr int64_t kStride = 32;      // pixels to a place of the feature map

/// EfficientNet-Lite's evaluation rule: the middle square of side/(side + 32) of the shorter side,
/// bicubic to `image_size`, then (byte - 127) / 128. With `do_center_crop` false the whole picture
/// is kept: the shorter side becomes `image_size` and the longer a multiple of 32.
///
/// Reference: tensorflow/tpu, models/official/efficientnet/lite and its preprocessing for
/// evaluation. Differs: Pillow's antialiased bicubic instead of TensorFlow's, which aliases.
class EfficientNetLiteProcessor : public ImageProcessor {
 public:
  explicit EfficientNetLiteProcessor(const Json& config)
      : normalize_(1, {127, 127, 127}, {128, 128, 128}),
        side_(config.get("image_size", 224)),
        crop_(config.get("do_center_crop", true)) {
    check(side_ >= kStride && side_ <= 4096, ErrorCode::kInvalidArgument,
          "image_size: expected 32 to 4096 pixels, got " + std::to_string(side_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    const int64_t height = picture.size(0), width = picture.size(1);
    const int64_t shorter = std::min(height, width);
    if (!crop_) {
      const auto scaled = [&](int64_t length) {
        const int64_t exact = length * side_ / std::max<int64_t>(shorter, 1);
        return std::max<int64_t>(1, (exact + kStride / 2) / kStride) * kStride;
      };
      const at::Tensor whole = resample(picture, height == shorter ? side_ : scaled(height),
                                        width == shorter ? side_ : scaled(width), Filter::kBicubic);
      return {normalize_(whole).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
    }
    const int64_t square = std::max<int64_t>(1, shorter * side_ / (side_ + kCropMargin));
    const int64_t top = (height - square + 1) / 2, left = (width - square + 1) / 2;
    const at::Tensor middle = picture.narrow(0, top, square).narrow(1, left, square);
    const auto fraction = [](int64_t part, int64_t of) {
      return static_cast<float>(part) / static_cast<float>(of);
    };
    const at::Tensor box =
        at::tensor({fraction(left, width), fraction(top, height), fraction(left + square, width),
                    fraction(top + square, height)});
    return {normalize_(resample(middle, side_, side_, Filter::kBicubic)).unsqueeze(0),
            box.unsqueeze(0),
            {}};
  }

 private:
  Normalizer normalize_;
  int64_t side_;
  bool crop_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_efficientnet_lite_processor(const Json& config) {
  return std::make_unique<EfficientNetLiteProcessor>(config);
}

}  // namespace lv::vision
