#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/picture_side.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

struct Size {
  int64_t height, width;
};

/// A square by one number, or {"height", "width"}.
Size fixed_size(const Json& value, const char* name) {
  if (value.is_int()) return {picture_side(value, name), picture_side(value, name)};
  return {picture_side(value.at("height"), name), picture_side(value.at("width"), name)};
}

/// CLIP's: the shorter side to a length, then the middle, black where the picture is smaller.
/// Reference: Radford et al., Learning Transferable Visual Models From Natural Language
/// Supervision, ICML 2021; keys and rounding as in transformers' CLIPImageProcessor.
class ClipProcessor : public ImageProcessor {
 public:
  explicit ClipProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))) {
    if (config.get("do_resize", true)) {
      const Json& size = config.at("size");
      // Old files write one number and mean the shorter side.
      const Json* shortest = size.is_int() ? &size : size.find("shortest_edge");
      if (shortest != nullptr) {
        shortest_ = picture_side(*shortest, "size.shortest_edge");
      } else {
        size_ = fixed_size(size, "size");
      }
    }
    if (config.get("do_center_crop", true)) crop_ = fixed_size(config.at("crop_size"), "crop_size");
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    at::Tensor scaled = picture;
    if (shortest_) {
      const Size to = by_shorter_side(picture.size(0), picture.size(1));
      scaled = resample(picture, to.height, to.width, filter_);
    } else if (size_) {
      scaled = resample(picture, size_->height, size_->width, filter_);
    }
    at::Tensor box = at::tensor({0.f, 0.f, 1.f, 1.f});
    if (crop_) scaled = middle(scaled, *crop_, box);
    return {normalize_(scaled).unsqueeze(0), box.unsqueeze(0), {}};
  }

 private:
  Size by_shorter_side(int64_t height, int64_t width) const {
    if (height < 1 || width < 1) return {*shortest_, *shortest_};
    if (width <= height) return {*shortest_ * height / width, *shortest_};
    return {*shortest_, *shortest_ * width / height};
  }

  /// The middle of `picture`, padded with zeros to `size`; `box` becomes the part it shows.
  static at::Tensor middle(const at::Tensor& picture, Size size, at::Tensor& box) {
    const int64_t height = picture.size(0), width = picture.size(1);
    // Rounds down when it cuts and up when it pads, as the reference does.
    const int64_t pad_top = std::max<int64_t>(0, (size.height - height + 1) / 2);
    const int64_t pad_left = std::max<int64_t>(0, (size.width - width + 1) / 2);
    const int64_t top = std::max<int64_t>(0, (height - size.height) / 2);
    const int64_t left = std::max<int64_t>(0, (width - size.width) / 2);
    const float y0 = static_cast<float>(top - pad_top) / static_cast<float>(height);
    const float x0 = static_cast<float>(left - pad_left) / static_cast<float>(width);
    box = at::tensor({x0, y0, x0 + static_cast<float>(size.width) / static_cast<float>(width),
                      y0 + static_cast<float>(size.height) / static_cast<float>(height)});
    const int64_t rows = std::min(height, size.height), columns = std::min(width, size.width);
    const at::Tensor part = picture.narrow(0, top, rows).narrow(1, left, columns);
    if (rows == size.height && columns == size.width) return part;
    at::Tensor padded = at::zeros({size.height, size.width, 3}, at::kByte);
    padded.narrow(0, pad_top, rows).narrow(1, pad_left, columns).copy_(part);
    return padded;
  }

  Normalizer normalize_;
  Filter filter_;
  std::optional<int64_t> shortest_;
  std::optional<Size> size_;
  std::optional<Size> crop_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_clip_processor(const Json& config) {
  return std::make_unique<ClipProcessor>(config);
}

}  // namespace lv::vision
