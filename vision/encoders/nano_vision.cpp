#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/encoders/efficientnet_lite.h"
#include "vision/encoders/image_encoder.h"

namespace lv::vision {
namespace {

/// The blocks whose maps are read, ascending; the last block's is the coarsest.
std::vector<int64_t> taps_of(const Json& config, const EfficientNetLiteTrunk& trunk) {
  std::vector<int64_t> taps;
  for (const Json& tap : config.at("taps").as_array()) taps.push_back(tap.as_int());
  const bool inside = !taps.empty() && taps.front() >= 0 && taps.back() == trunk.blocks() - 1;
  check(inside && std::ranges::is_sorted(taps), ErrorCode::kInvalidArgument,
        "taps: expected numbers of blocks that ascend to the last, " +
            std::to_string(trunk.blocks() - 1) + ", got " + config.at("taps").dump());
  return taps;
}

/// nano's eyes and the classifier that they began as. A feature is all that both see in one place
/// of the coarsest map: the eyes' maps of every resolution, coarsest first, then the map that the
/// classifier's head reads.
/// Reference: models/nano/recipe, model/efficientnet.py.
class NanoVision : public ImageEncoder {
 public:
  NanoVision(const Json& config, const WeightScope& scope)
      : eyes_(config, scope / "eyes", EfficientNetLiteTrunk::Norms::kFolded),
        taps_(taps_of(config, eyes_)),
        classifier_(make_efficientnet_lite(config, scope / "classifier")),
        head_(*classifier_->class_head()) {
    for (const int64_t tap : taps_) cell_width_ += eyes_.channels(tap) * places(tap) * places(tap);
    // The head reads the classifier's part of a feature.
    const at::Tensor weight =
        (scope / "classifier" / "_fc").get("weight", {-1, classifier_->width()});
    head_ = Linear(at::constant_pad_nd(weight, {cell_width_, 0}), head_.bias());
  }

  PictureFeatures encode(const at::Tensor& pixels) const override {
    check_shape(pixels, "pixels", {-1, 3, -1, -1});
    const int64_t side = eyes_.stride(taps_.back());
    check(pixels.size(2) % side == 0 && pixels.size(3) % side == 0, ErrorCode::kInvalidArgument,
          "pixels: expected sides that are multiples of " + std::to_string(side) + ", got " +
              shape_text(pixels.sizes()));
    PictureFeatures known = classifier_->encode(pixels);
    std::vector<at::Tensor> seen;
    for (const at::Tensor& picture : pixels.split(1)) seen.push_back(cells_of(picture));
    known.features = at::cat({at::cat(seen), known.features}, 2);
    return known;
  }

  int64_t width() const override { return cell_width_ + classifier_->width(); }
  const Linear* class_head() const override { return &head_; }

 private:
  /// How many places of a map lie along a side of one of the coarsest map.
  int64_t places(int64_t tap) const { return eyes_.stride(taps_.back()) / eyes_.stride(tap); }

  /// [1, cells, D] of one picture.
  at::Tensor cells_of(const at::Tensor& picture) const {
    std::vector<at::Tensor> maps = eyes_.maps(picture, taps_);
    for (size_t i = 0; i < maps.size(); ++i) {
      maps[i] = at::pixel_unshuffle(maps[i].contiguous(), places(taps_[i]));
    }
    std::ranges::reverse(maps);
    return at::cat(maps, 1).permute({0, 2, 3, 1}).flatten(1, 2);
  }

  EfficientNetLiteTrunk eyes_;
  std::vector<int64_t> taps_;
  ImageEncoderPtr classifier_;
  Linear head_;
  int64_t cell_width_ = 0;
};

}  // namespace

std::unique_ptr<ImageEncoder> make_nano_vision(const Json& config, const WeightScope& scope) {
  return std::make_unique<NanoVision>(config, scope);
}

}  // namespace lv::vision
