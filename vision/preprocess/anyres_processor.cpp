#include <ATen/ATen.h>

#include <cmath>
#include <vector>

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

int64_t tile_side(const Json& config) {
  const Json& size = config.at("size");
  if (const Json* shortest = size.find("shortest_edge")) {
    return picture_side(*shortest, "size.shortest_edge");
  }
  const int64_t side = picture_side(size.at("height"), "size.height");
  check(size.at("width").as_int() == side, ErrorCode::kUnimplemented,
        "size: expected a square, got another width than height");
  return side;
}

/// LLaVA-OneVision's: of the sizes in `image_grid_pinpoints` the one that keeps most of the
/// picture; the picture is scaled into it, with black around, and cut into tiles. Last comes the
/// whole picture, squeezed into one.
/// Reference: Li et al., LLaVA-OneVision: Easy Visual Task Transfer, 2024, section 3.2; keys and
/// rounding as in transformers' LlavaOnevisionImageProcessor, which puts the whole picture first.
class AnyresProcessor : public ImageProcessor {
 public:
  explicit AnyresProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))),
        side_(tile_side(config)) {
    if (!config.get("do_image_splitting", true)) return;
    for (const Json& pair : config.at("image_grid_pinpoints").as_array()) {
      const Json::Array& sides = pair.as_array();
      check(sides.size() == 2, ErrorCode::kInvalidArgument,
            "image_grid_pinpoints: expected pairs of height and width");
      const Size size{picture_side(sides[0], "image_grid_pinpoints"),
                      picture_side(sides[1], "image_grid_pinpoints")};
      check(size.height % side_ == 0 && size.width % side_ == 0, ErrorCode::kInvalidArgument,
            "image_grid_pinpoints: expected multiples of " + std::to_string(side_) + ", got " +
                shape_text({size.height, size.width}));
      sizes_.push_back(size);
    }
    check(!sizes_.empty(), ErrorCode::kInvalidArgument,
          "image_grid_pinpoints: expected at least one size, got none");
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
    const at::Tensor whole = normalize_(resample(picture, side_, side_, filter_));
    const at::Tensor all = at::tensor({0.f, 0.f, 1.f, 1.f});
    if (sizes_.empty()) return {whole.unsqueeze(0), all.unsqueeze(0), {}};
    const Size canvas = best_size(picture.size(0), picture.size(1));
    const Size scaled = fitted({picture.size(0), picture.size(1)}, canvas);
    const int64_t top = (canvas.height - scaled.height) / 2;
    const int64_t left = (canvas.width - scaled.width) / 2;
    at::Tensor padded = at::zeros({canvas.height, canvas.width, 3}, at::kByte);
    padded.narrow(0, top, scaled.height)
        .narrow(1, left, scaled.width)
        .copy_(resample(picture, scaled.height, scaled.width, filter_));
    std::vector<at::Tensor> tiles, boxes;
    const auto across = [&](int64_t x) {
      return static_cast<float>(x - left) / static_cast<float>(scaled.width);
    };
    const auto down = [&](int64_t y) {
      return static_cast<float>(y - top) / static_cast<float>(scaled.height);
    };
    for (int64_t y = 0; y < canvas.height; y += side_) {
      for (int64_t x = 0; x < canvas.width; x += side_) {
        tiles.push_back(normalize_(padded.narrow(0, y, side_).narrow(1, x, side_)));
        boxes.push_back(at::tensor({across(x), down(y), across(x + side_), down(y + side_)}));
      }
    }
    tiles.push_back(whole);
    boxes.push_back(all);
    return {
        at::stack(tiles),
        at::stack(boxes),
        {static_cast<int32_t>(canvas.height / side_), static_cast<int32_t>(canvas.width / side_)}};
  }

 private:
  /// The size that leaves most pixels of the picture, then the one that wastes fewest of its own.
  Size best_size(int64_t height, int64_t width) const {
    Size best = sizes_.front();
    int64_t most = -1, least = 0;
    for (const Size& size : sizes_) {
      const double scale = std::min(static_cast<double>(size.width) / static_cast<double>(width),
                                    static_cast<double>(size.height) / static_cast<double>(height));
      const auto length = [scale](int64_t side) {
        return static_cast<int64_t>(static_cast<double>(side) * scale);
      };
      const int64_t kept = std::min(length(width) * length(height), width * height);
      const int64_t wasted = size.width * size.height - kept;
      if (kept < most || (kept == most && wasted >= least)) continue;
      best = size;
      most = kept;
      least = wasted;
    }
    return best;
  }

  static Size fitted(Size picture, Size canvas) {
    const double across = static_cast<double>(canvas.width) / static_cast<double>(picture.width);
    const double down = static_cast<double>(canvas.height) / static_cast<double>(picture.height);
    const auto up = [](int64_t side, double scale, int64_t most) {
      const auto scaled = static_cast<int64_t>(std::ceil(static_cast<double>(side) * scale));
      return std::clamp<int64_t>(scaled, 1, most);
    };
    if (across < down) return {up(picture.height, across, canvas.height), canvas.width};
    return {canvas.height, up(picture.width, down, canvas.width)};
  }

  Normalizer normalize_;
  Filter filter_;
  int64_t side_;             // of a tile
  std::vector<Size> sizes_;  // that a picture may be scaled into; none: it is not cut
};

}  // namespace

std::unique_ptr<ImageProcessor> make_anyres_processor(const Json& config) {
  return std::make_unique<AnyresProcessor>(config);
}

}  // namespace lv::vision
