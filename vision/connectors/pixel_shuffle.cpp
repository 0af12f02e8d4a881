#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/nn/linear.h"
#include "vision/connectors/connector.h"

namespace lv::vision {
namespace {

/// Squares of s x s places become one, their features side by side, row by row; then one layer to
/// the language model's width.
/// Reference: Laurencon et al., Building and better understanding vision-language models, 2024,
/// section 3; the square is `scale_factor` wide.
class PixelShuffle : public Connector {
 public:
  PixelShuffle(const Json& config, const WeightScope& scope, int64_t encoder_width)
      : side_(config.get("scale_factor", 2)),
        in_(checked_width(encoder_width)),
        project_(scope / "modality_projection" / "proj", in_,
                 (scope / "modality_projection" / "proj").shape("weight").at(0)) {}

  PictureFeatures connect(const PictureFeatures& pictures) const override {
    PictureFeatures squares = squares_of(pictures, side_);
    squares.features = project_(squares.features);
    return squares;
  }

 private:
  int64_t checked_width(int64_t encoder_width) const {
    check(side_ >= 1 && side_ <= 64, ErrorCode::kInvalidArgument,
          "scale_factor: expected 1 to 64, got " + std::to_string(side_));
    return encoder_width * side_ * side_;
  }

  int64_t side_;  // of a square, in places
  int64_t in_;    // features of a square
  Linear project_;
};

}  // namespace

std::unique_ptr<Connector> make_pixel_shuffle(const Json& config, const WeightScope& scope,
                                              int64_t encoder_width) {
  return std::make_unique<PixelShuffle>(config, scope, encoder_width);
}

}  // namespace lv::vision
