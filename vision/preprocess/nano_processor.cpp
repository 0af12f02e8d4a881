#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

constexpr int64_t kStride = 32;  // pixels to a place of the feature map

/// nano's: the whole picture becomes a square of `image_size`, then (byte - 127) / 128.
/// Reference: models/nano/recipe, README.md ("A camera's whole view is squeezed to the square").
class NanoProcessor : public ImageProcessor {
 public:
  explicit NanoProcessor(const Json& config)
      : normalize_(1, {127, 127, 127}, {128, 128, 128}), side_(config.get("image_size", 224)) {
    check(side_ >= kStride && side_ <= 4096 && side_ % kStride == 0, ErrorCode::kInvalidArgument,
          "image_size: expected a multiple of 32 up to 4096, got " + std::to_string(side_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    const bool fits = picture.size(0) == side_ && picture.size(1) == side_;
    const at::Tensor square = fits ? picture : resample(picture, side_, side_, Filter::kBicubic);
    return {normalize_(square).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
  }

 private:
  Normalizer normalize_;
  int64_t side_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_nano_processor(const Json& config) {
  return std::make_unique<NanoProcessor>(config);
}

}  // namespace lv::vision
