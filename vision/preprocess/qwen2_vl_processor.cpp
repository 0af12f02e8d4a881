#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

constexpr double kMostAspect = 200;
constexpr int64_t kMostTokens = 1 << 24;

/// Qwen2-VL's and Qwen2.5-VL's: the picture keeps its shape and about its size; both sides become
/// multiples of a merged patch, within bounds on the area.
/// Reference: Wang et al., Qwen2-VL, arXiv 2409.12191, section 2.1; keys and rounding as in
/// transformers' Qwen2VLImageProcessor.
class Qwen2VlProcessor : public ImageProcessor {
 public:
  explicit Qwen2VlProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))),
        resize_(config.get("do_resize", true)),
        unit_(checked(config.get("patch_size", 14), "patch_size") *
              checked(config.get("merge_size", 2), "merge_size")) {
    const Json* size = config.find("size");
    const Json none = Json::Object();
    if (size == nullptr || !size->is_object()) size = &none;
    least_ = config.get("min_pixels", size->get("shortest_edge", size->get("min_pixels", 56 * 56)));
    most_ = config.get("max_pixels",
                       size->get("longest_edge", size->get("max_pixels", 28 * 28 * 1280)));
    check(least_ >= 1 && most_ >= least_ && most_ <= 1 << 28, ErrorCode::kInvalidArgument,
          "size: expected areas of 1 to 2^28 pixels, got " + std::to_string(least_) + " to " +
              std::to_string(most_));
    if (const Json* tokens = config.find("max_video_tokens"); tokens && !tokens->is_null()) {
      film_pixels_ = pixels_of_film(tokens->as_int(), config.get("temporal_patch_size", 2));
    }
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    return process_within(picture, most_);
  }

  /// An even share of the film's pixels, but a little more than the least.
  ProcessedPicture process_frame(const at::Tensor& picture, int64_t film_frames) const override {
    if (film_frames < 1 || film_pixels_ == 0) return process(picture);
    const auto least = static_cast<int64_t>(static_cast<double>(least_) * 1.05);
    return process_within(picture, std::max(std::min(most_, film_pixels_ / film_frames), least));
  }

 private:
  ProcessedPicture process_within(const at::Tensor& picture, int64_t most) const {
    check_shape(picture, "picture", {-1, -1, 3});
    check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
    at::Tensor scaled = picture;
    if (resize_) {
      const auto [height, width] = size_for(picture.size(0), picture.size(1), most);
      scaled = resample(picture, height, width, filter_);
    }
    return {normalize_(scaled).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
  }

  static int64_t checked(int64_t side, const char* key) {
    check(side >= 1 && side <= 1024, ErrorCode::kInvalidArgument,
          std::string(key) + ": expected 1 to 1024, got " + std::to_string(side));
    return side;
  }

  /// What all frames may have together: nine tenths of a context of `tokens`.
  int64_t pixels_of_film(int64_t tokens, int64_t moments) const {
    check(tokens >= 1 && tokens <= kMostTokens, ErrorCode::kInvalidArgument,
          "max_video_tokens: expected 1 to " + std::to_string(kMostTokens) + ", got " +
              std::to_string(tokens));
    const auto place = static_cast<double>(unit_ * unit_);
    const double pixels = std::floor(static_cast<double>(tokens) * place * 0.9);
    return static_cast<int64_t>(
        std::min(pixels * static_cast<double>(checked(moments, "temporal_patch_size")), 0x1p60));
  }

  std::pair<int64_t, int64_t> size_for(int64_t height, int64_t width, int64_t most) const {
    const auto h = static_cast<double>(height), w = static_cast<double>(width);
    check(std::max(h, w) / std::min(h, w) <= kMostAspect, ErrorCode::kInvalidArgument,
          "picture: expected sides of at most 200 to 1, got " + std::to_string(width) + " x " +
              std::to_string(height));
    const auto unit = static_cast<double>(unit_);
    // Halves go to the even number.
    double tall = std::nearbyint(h / unit) * unit, wide = std::nearbyint(w / unit) * unit;
    if (tall * wide > static_cast<double>(most)) {
      const double shrink = std::sqrt(h * w / static_cast<double>(most));
      tall = std::max(unit, std::floor(h / shrink / unit) * unit);
      wide = std::max(unit, std::floor(w / shrink / unit) * unit);
    } else if (tall * wide < static_cast<double>(least_)) {
      const double grow = std::sqrt(static_cast<double>(least_) / (h * w));
      tall = std::ceil(h * grow / unit) * unit;
      wide = std::ceil(w * grow / unit) * unit;
    }
    return {static_cast<int64_t>(tall), static_cast<int64_t>(wide)};
  }

  Normalizer normalize_;
  Filter filter_;
  bool resize_;
  int64_t unit_;             // pixels that both sides are multiples of
  int64_t least_, most_;     // pixels of a picture
  int64_t film_pixels_ = 0;  // of all frames of a film; 0: no bound
};

}  // namespace

std::unique_ptr<ImageProcessor> make_qwen2_vl_processor(const Json& config) {
  return std::make_unique<Qwen2VlProcessor>(config);
}

}  // namespace lv::vision
