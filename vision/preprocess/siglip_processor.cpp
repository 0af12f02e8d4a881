#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

/// SigLIP's: the whole picture to one size, whatever its shape.
/// Reference: Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023; keys as in
/// transformers' SiglipImageProcessor.
class SiglipProcessor : public ImageProcessor {
 public:
  explicit SiglipProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))),
        resize_(config.get("do_resize", true)) {
    if (!resize_) return;
    height_ = config.at("size").at("height").as_int();
    width_ = config.at("size").at("width").as_int();
    check(height_ >= 1 && height_ <= 8192 && width_ >= 1 && width_ <= 8192,
          ErrorCode::kInvalidArgument,
          "size: expected 1 to 8192 pixels, got " + shape_text({height_, width_}));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    const at::Tensor scaled = resize_ ? resample(picture, height_, width_, filter_) : picture;
    return {normalize_(scaled).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
  }

 private:
  Normalizer normalize_;
  Filter filter_;
  bool resize_;
  int64_t height_ = 0, width_ = 0;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_siglip_processor(const Json& config) {
  return std::make_unique<SiglipProcessor>(config);
}

}  // namespace lv::vision
