#include <ATen/ATen.h>

#include <array>
#include <optional>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/picture_side.h"
#include "vision/preprocess/resample.h"
#include "vision/preprocess/square.h"

namespace lv::vision {
namespace {

/// A square by one number, or {"height", "width"}.
PictureSize fixed_size(const Json& value, const char* name) {
  if (value.is_int()) return {picture_side(value, name), picture_side(value, name)};
  return {picture_side(value.at("height"), name), picture_side(value.at("width"), name)};
}

/// Whether pictures become squares of the mean colour first, as LLaVA's own configurations say it.
bool pads(const Json& config) { return config.get("image_aspect_ratio", "") == "pad"; }

/// CLIP's: the shorter side to a length, then the middle, black where the picture is smaller.
/// LLaVA's may put the picture on a square before, so that nothing is cut off.
/// Reference: Radford et al., Learning Transferable Visual Models From Natural Language
/// Supervision, ICML 2021; keys and rounding as in transformers' CLIPImageProcessor and
/// LlavaImageProcessor.
class ClipProcessor : public ImageProcessor {
 public:
  ClipProcessor(const Json& config, bool on_squares)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))) {
    if (on_squares) around_ = mean_colour(config);
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
    if (!around_) return scaled_and_cut(picture);
    const SquarePicture square = on_square(picture, *around_);
    ProcessedPicture made = scaled_and_cut(square.pixels);
    const at::Tensor origin = square.box.slice(0, 0, 2).repeat({2});
    made.boxes = origin + made.boxes * (square.box.slice(0, 2).repeat({2}) - origin);
    return made;
  }

 private:
  ProcessedPicture scaled_and_cut(const at::Tensor& picture) const {
    at::Tensor scaled = picture;
    if (shortest_) {
      const PictureSize to = by_shorter_side(picture.size(0), picture.size(1));
      scaled = resample(picture, to.height, to.width, filter_);
    } else if (size_) {
      scaled = resample(picture, size_->height, size_->width, filter_);
    }
    at::Tensor box = at::tensor({0.f, 0.f, 1.f, 1.f});
    if (crop_) scaled = middle(scaled, *crop_, box);
    return {normalize_(scaled).unsqueeze(0), box.unsqueeze(0), {}};
  }

  PictureSize by_shorter_side(int64_t height, int64_t width) const {
    if (height < 1 || width < 1) return {*shortest_, *shortest_};
    if (width <= height) return {*shortest_ * height / width, *shortest_};
    return {*shortest_, *shortest_ * width / height};
  }

  /// The middle of `picture`, padded with zeros to `size`; `box` becomes the part it shows.
  static at::Tensor middle(const at::Tensor& picture, PictureSize size, at::Tensor& box) {
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
    at::Tensor padded = at::zeros({size.height, size.width, 3}, picture.options());
    padded.narrow(0, pad_top, rows).narrow(1, pad_left, columns).copy_(part);
    return padded;
  }

  Normalizer normalize_;
  Filter filter_;
  std::optional<std::array<uint8_t, 3>> around_;  // the picture on a square; none: no square
  std::optional<int64_t> shortest_;
  std::optional<PictureSize> size_;
  std::optional<PictureSize> crop_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_clip_processor(const Json& config) {
  return std::make_unique<ClipProcessor>(config, pads(config));
}

std::unique_ptr<ImageProcessor> make_llava_processor(const Json& config) {
  return std::make_unique<ClipProcessor>(config, pads(config) || config.get("do_pad", false));
}

}  // namespace lv::vision
