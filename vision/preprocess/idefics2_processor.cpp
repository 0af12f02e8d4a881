#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/picture_side.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

/// Idefics2's: the picture keeps its shape, no side longer or shorter than given. Where it is
/// split, its four quarters come first, each brought to such a size by itself.
/// Reference: Laurencon et al., What matters when building vision-language models?, 2024, section
/// 3.4; keys and rounding as in transformers' Idefics2ImageProcessor.
class Idefics2Processor : public ImageProcessor {
 public:
  explicit Idefics2Processor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 2))),
        resize_(config.get("do_resize", true)),
        split_(config.get("do_image_splitting", false)) {
    if (!resize_) return;
    shortest_ = config.at("size").get("shortest_edge", 1);
    longest_ = picture_side(config.at("size").at("longest_edge"), "size.longest_edge");
    check(shortest_ >= 0 && shortest_ <= longest_, ErrorCode::kInvalidArgument,
          "size.shortest_edge: expected 0 to " + std::to_string(longest_) + " pixels, got " +
              std::to_string(shortest_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    const int64_t height = picture.size(0), width = picture.size(1);
    check(height > 0 && width > 0, ErrorCode::kInvalidArgument,
          "picture: expected pixels, got none");
    const bool split = split_ && height > 1 && width > 1;
    ProcessedPicture made;
    std::vector<at::Tensor> parts;
    std::vector<float> boxes;
    const auto add = [&](int64_t top, int64_t left, int64_t rows, int64_t columns) {
      parts.push_back(normalize_(scaled(picture.narrow(0, top, rows).narrow(1, left, columns))));
      made.sizes.push_back({parts.back().size(1), parts.back().size(2)});
      const auto fraction = [](int64_t part, int64_t of) {
        return static_cast<float>(part) / static_cast<float>(of);
      };
      boxes.insert(boxes.end(), {fraction(left, width), fraction(top, height),
                                 fraction(left + columns, width), fraction(top + rows, height)});
    };
    if (split) {
      const int64_t down = height / 2, across = width / 2;
      add(0, 0, down, across);
      add(0, across, down, width - across);
      add(down, 0, height - down, across);
      add(down, across, height - down, width - across);
      made.tiles = {2, 2};
    }
    add(0, 0, height, width);
    made.pixels = together(parts, made.sizes);
    made.boxes = at::tensor(boxes).view({-1, 4});
    return made;
  }

 private:
  at::Tensor scaled(const at::Tensor& picture) const {
    if (!resize_) return picture;
    int64_t height = picture.size(0), width = picture.size(1);
    const double aspect = static_cast<double>(width) / static_cast<double>(height);
    if (width >= height && width > longest_) {
      width = longest_;
      height = static_cast<int64_t>(static_cast<double>(width) / aspect);
    } else if (height > width && height > longest_) {
      height = longest_;
      width = static_cast<int64_t>(static_cast<double>(height) * aspect);
    }
    const int64_t least = std::max<int64_t>(shortest_, 1);
    return resample(picture, std::max(height, least), std::max(width, least), filter_);
  }

  /// Pictures of several sizes in one tensor, zeros around the smaller ones.
  static at::Tensor together(const std::vector<at::Tensor>& parts,
                             const std::vector<PictureSize>& sizes) {
    PictureSize largest;
    for (const PictureSize& size : sizes) {
      largest = {std::max(largest.height, size.height), std::max(largest.width, size.width)};
    }
    const at::Tensor all =
        at::zeros({static_cast<int64_t>(parts.size()), 3, largest.height, largest.width},
                  parts.front().options());
    for (size_t i = 0; i < parts.size(); ++i) {
      all[static_cast<int64_t>(i)]
          .narrow(1, 0, sizes[i].height)
          .narrow(2, 0, sizes[i].width)
          .copy_(parts[i]);
    }
    return all;
  }

  Normalizer normalize_;
  Filter filter_;
  bool resize_, split_;
  int64_t shortest_ = 0, longest_ = 0;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_idefics2_processor(const Json& config) {
  return std::make_unique<Idefics2Processor>(config);
}

}  // namespace lv::vision
