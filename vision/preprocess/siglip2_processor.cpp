#include <ATen/ATen.h>

#include <cmath>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

/// SigLIP 2's for pictures of any shape: to about as many whole patches as are allowed, in about
/// the picture's own shape.
/// Reference: Tschannen et al., SigLIP 2: Multilingual Vision-Language Encoders, 2025, section 2.4;
/// keys and search as in transformers' Siglip2ImageProcessor. Differs: a picture, not its patches.
class Siglip2Processor : public ImageProcessor {
 public:
  explicit Siglip2Processor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 2))),
        patch_(config.get("patch_size", 16)),
        most_(config.get("max_num_patches", 256)) {
    check(patch_ >= 1 && patch_ <= 1024, ErrorCode::kInvalidArgument,
          "patch_size: expected 1 to 1024 pixels, got " + std::to_string(patch_));
    check(most_ >= 1 && most_ <= 1 << 16, ErrorCode::kInvalidArgument,
          "max_num_patches: expected 1 to 65536, got " + std::to_string(most_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
    const double scale = largest_scale(picture.size(0), picture.size(1));
    const at::Tensor scaled = resample(picture, patches(picture.size(0), scale) * patch_,
                                       patches(picture.size(1), scale) * patch_, filter_);
    return {normalize_(scaled).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
  }

 private:
  /// Patches along one side.
  int64_t patches(int64_t side, double scale) const {
    const double exact = static_cast<double>(side) * scale / static_cast<double>(patch_);
    return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(exact)));
  }

  /// By halving, to within 1e-5: other steps would end on another size now and then.
  double largest_scale(int64_t height, int64_t width) const {
    double least = 1e-6, most = 100;
    while (most - least >= 1e-5) {
      const double scale = (least + most) / 2;
      (patches(height, scale) * patches(width, scale) <= most_ ? least : most) = scale;
    }
    return least;
  }

  Normalizer normalize_;
  Filter filter_;
  int64_t patch_, most_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_siglip2_processor(const Json& config) {
  return std::make_unique<Siglip2Processor>(config);
}

}  // namespace lv::vision
