#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/resample.h"

namespace lv::vision {
namespace {

constexpr int64_t kMaxLongerSide = 4096;

struct Size {
  int64_t height, width;
};

/// SmolVLM's and Idefics3's: the longer side to `size`, both sides up to multiples of a tile, cut
/// into tiles, and the whole picture as one more tile at the end. A picture of a single tile is not
/// cut.
/// Reference: Marafioti et al., SmolVLM: Redefining small and efficient multimodal models, 2025;
/// keys and rounding as in transformers' SmolVLMImageProcessor.
class SmolVlmProcessor : public ImageProcessor {
 public:
  explicit SmolVlmProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 1))),
        resize_(config.get("do_resize", true)),
        split_(config.get("do_image_splitting", true)),
        longest_(resize_ ? config.at("size").at("longest_edge").as_int() : 1),
        tile_(config.at("max_image_size").at("longest_edge").as_int()) {
    check(longest_ >= 1 && longest_ <= 65536, ErrorCode::kInvalidArgument,
          "size.longest_edge: expected 1 to 65536 pixels, got " + std::to_string(longest_));
    check(tile_ >= 1 && tile_ <= kMaxLongerSide, ErrorCode::kInvalidArgument,
          "max_image_size.longest_edge: expected 1 to 4096 pixels, got " + std::to_string(tile_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
    at::Tensor scaled = picture;
    if (resize_) scaled = to_size(scaled, longer_side_size(scaled.size(0), scaled.size(1)));
    if (!split_) return one(to_size(scaled, {tile_, tile_}));
    scaled = to_size(scaled, whole_tiles(scaled.size(0), scaled.size(1)));
    if (scaled.size(0) == tile_ && scaled.size(1) == tile_) return one(scaled);
    return cut(scaled);
  }

 private:
  ProcessedPicture one(const at::Tensor& picture) const {
    return {normalize_(picture).unsqueeze(0), at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0), {}};
  }

  ProcessedPicture cut(const at::Tensor& picture) const {
    const int64_t rows = picture.size(0) / tile_, columns = picture.size(1) / tile_;
    std::vector<at::Tensor> tiles;
    std::vector<float> boxes;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        tiles.push_back(
            normalize_(picture.narrow(0, r * tile_, tile_).narrow(1, c * tile_, tile_)));
        const float down = 1.f / static_cast<float>(rows),
                    right = 1.f / static_cast<float>(columns);
        const float x = static_cast<float>(c) * right, y = static_cast<float>(r) * down;
        boxes.insert(boxes.end(), {x, y, x + right, y + down});
      }
    }
    tiles.push_back(normalize_(to_size(picture, {tile_, tile_})));
    boxes.insert(boxes.end(), {0.f, 0.f, 1.f, 1.f});
    return {at::stack(tiles),
            at::tensor(boxes).view({-1, 4}),
            {static_cast<int32_t>(rows), static_cast<int32_t>(columns)}};
  }

  at::Tensor to_size(const at::Tensor& picture, Size size) const {
    return resample(picture, size.height, size.width, filter_);
  }

  Size longer_side_size(int64_t height, int64_t width) const {
    const double aspect = static_cast<double>(width) / static_cast<double>(height);
    Size size{height, width};
    if (width >= height) {
      size.width = longest_;
      size.height = static_cast<int64_t>(static_cast<double>(longest_) / aspect);
      size.height += size.height % 2;
    } else {
      size.height = longest_;
      size.width = static_cast<int64_t>(static_cast<double>(longest_) * aspect);
      size.width += size.width % 2;
    }
    size = {std::max<int64_t>(size.height, 1), std::max<int64_t>(size.width, 1)};
    return below_limit(size);
  }

  static Size below_limit(Size size) {
    const double aspect = static_cast<double>(size.width) / static_cast<double>(size.height);
    if (size.width >= size.height && size.width > kMaxLongerSide) {
      size = {static_cast<int64_t>(kMaxLongerSide / aspect), kMaxLongerSide};
    } else if (size.height > size.width && size.height > kMaxLongerSide) {
      size = {kMaxLongerSide, static_cast<int64_t>(kMaxLongerSide * aspect)};
    }
    return {std::max<int64_t>(size.height, 1), std::max<int64_t>(size.width, 1)};
  }

  int64_t up_to_tiles(int64_t length) const {
    return std::max<int64_t>(1, (length + tile_ - 1) / tile_) * tile_;
  }

  Size whole_tiles(int64_t height, int64_t width) const {
    const double aspect = static_cast<double>(width) / static_cast<double>(height);
    if (width >= height) {
      const int64_t to = up_to_tiles(width);
      return {up_to_tiles(static_cast<int64_t>(static_cast<double>(to) / aspect)), to};
    }
    const int64_t to = up_to_tiles(height);
    return {to, up_to_tiles(static_cast<int64_t>(static_cast<double>(to) * aspect))};
  }

  Normalizer normalize_;
  Filter filter_;
  bool resize_, split_;
  int64_t longest_, tile_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_smolvlm_processor(const Json& config) {
  return std::make_unique<SmolVlmProcessor>(config);
}

}  // namespace lv::vision
