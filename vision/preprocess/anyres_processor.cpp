#include <ATen/ATen.h>

#include <array>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/preprocess/canvas.h"
#include "vision/preprocess/image_processor.h"
#include "vision/preprocess/normalize.h"
#include "vision/preprocess/picture_side.h"
#include "vision/preprocess/resample.h"
#include "vision/preprocess/square.h"

namespace lv::vision {
namespace {

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
/// whole picture, squeezed into one. A picture among several is not cut: it is put on a square of
/// the mean colour.
/// Reference: Li et al., LLaVA-OneVision: Easy Visual Task Transfer, 2024, section 3.2; keys and
/// rounding as in transformers' LlavaOnevisionImageProcessor, which puts the whole picture first.
class AnyresProcessor : public ImageProcessor {
 public:
  explicit AnyresProcessor(const Json& config)
      : normalize_(Normalizer::from_config(config)),
        filter_(filter_from_pillow(config.get("resample", 3))),
        side_(tile_side(config)),
        around_(mean_colour(config)) {
    if (!config.get("do_image_splitting", true)) return;
    for (const Json& pair : config.at("image_grid_pinpoints").as_array()) {
      const Json::Array& sides = pair.as_array();
      check(sides.size() == 2, ErrorCode::kInvalidArgument,
            "image_grid_pinpoints: expected pairs of height and width");
      const PictureSize size{picture_side(sides[0], "image_grid_pinpoints"),
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
    const PictureSize canvas = best_canvas({picture.size(0), picture.size(1)}, sizes_);
    CanvasTiles cut = tiles_on_canvas(picture, canvas, side_, filter_);
    for (at::Tensor& tile : cut.pictures) tile = normalize_(tile);
    cut.pictures.push_back(whole);
    cut.boxes.push_back(all);
    return {at::stack(cut.pictures), at::stack(cut.boxes), cut.grid};
  }

  bool regards_set() const override { return !sizes_.empty(); }

  ProcessedPicture process_in_set(const at::Tensor& picture, const std::vector<PictureSize>& sizes,
                                  size_t) const override {
    if (sizes.size() == 1) return process(picture);
    const SquarePicture square = on_square(picture, around_);
    return {normalize_(resample(square.pixels, side_, side_, filter_)).unsqueeze(0),
            square.box.unsqueeze(0),
            {}};
  }

 private:
  Normalizer normalize_;
  Filter filter_;
  int64_t side_;                    // of a tile
  std::array<uint8_t, 3> around_;   // pictures of a set
  std::vector<PictureSize> sizes_;  // that a picture may be scaled into; none: it is not cut
};

}  // namespace

std::unique_ptr<ImageProcessor> make_anyres_processor(const Json& config) {
  return std::make_unique<AnyresProcessor>(config);
}

}  // namespace lv::vision
