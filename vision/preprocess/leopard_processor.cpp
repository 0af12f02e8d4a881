#include <ATen/ATen.h>

#include <string>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/canvas.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/picture_side.h"
#include "vision/preprocess/resample.h"
#include "vision/preprocess/tile_allocation.h"

namespace lv::vision {
namespace {

constexpr int64_t kMostTiles = 1024;

/// LEOPARD's: the pictures of a request share `tile_budget` tiles by their sizes. Each is scaled
/// into its grid of tiles, with black around, and cut; last comes the whole picture, squeezed into
/// one tile.
/// Reference: Jia et al., LEOPARD: A Vision Language Model for Text-Rich Multi-Image Tasks, TMLR
/// 2025, section 3.2, and its published evaluation code, which puts the whole picture first.
class LeopardProcessor : public ImageProcessor {
 public:
  explicit LeopardProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))),
        side_(picture_side(config.at("size").at("height"), "size.height")),
        budget_(config.get("tile_budget", 50)),
        split_(config.get("do_image_splitting", true)) {
    check(config.at("size").at("width").as_int() == side_, ErrorCode::kUnimplemented,
          "size: expected a square, got another width than height");
    check(budget_ >= 1 && budget_ <= kMostTiles, ErrorCode::kInvalidArgument,
          "tile_budget: expected 1 to " + std::to_string(kMostTiles) + ", got " +
              std::to_string(budget_));
  }

  ProcessedPicture process(const at::Tensor& picture) const override {
    check_shape(picture, "picture", {-1, -1, 3});
    return process_in_set(picture, {{picture.size(0), picture.size(1)}}, 0);
  }

  bool regards_set() const override { return split_; }

  ProcessedPicture process_in_set(const at::Tensor& picture, const std::vector<PictureSize>& sizes,
                                  size_t index) const override {
    check_shape(picture, "picture", {sizes.at(index).height, sizes.at(index).width, 3});
    check(picture.numel() > 0, ErrorCode::kInvalidArgument, "picture: expected pixels, got none");
    CanvasTiles cut;
    if (split_) {
      const int64_t allowance = allocate_tiles(sizes, side_, budget_).at(index);
      const PatchGrid grid = tile_grid(sizes[index], allowance, side_);
      const PictureSize canvas{grid.rows * side_, grid.columns * side_};
      if (grid.rows > 0) cut = tiles_on_canvas(picture, canvas, side_, Filter::kBicubic);
    }
    cut.pictures.push_back(resample(picture, side_, side_, filter_));
    cut.boxes.push_back(at::tensor({0.f, 0.f, 1.f, 1.f}));
    for (at::Tensor& tile : cut.pictures) tile = normalize_(tile);
    return {at::stack(cut.pictures), at::stack(cut.boxes), cut.grid};
  }

 private:
  Normalizer normalize_;
  Filter filter_;  // of the whole picture
  int64_t side_;   // of a tile
  int64_t budget_;
  bool split_;
};

}  // namespace

std::unique_ptr<ImageProcessor> make_leopard_processor(const Json& config) {
  return std::make_unique<LeopardProcessor>(config);
}

}  // namespace lv::vision
