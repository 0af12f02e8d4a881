#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/base/registry.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/encoders/picture_features.h"

namespace lv::vision {

/// A picture as the image processor cut it.
struct CutPicture {
  int64_t height = 0, width = 0;  // before it was scaled
  PatchGrid tiles;                // of the first pictures of its features; none if it was not cut
  at::Tensor boxes;               // [P, 4] as in ProcessedPicture
};

/// The tokens of one picture, as one or several grids.
struct ArrangedPicture {
  at::Tensor features;           // [m, D], grid after grid
  at::Tensor boxes;              // [m, 4] float32, fractions of the picture
  at::Tensor tile;               // [m, 2] int32, as in TokenOrigin
  std::vector<PatchGrid> grids;  // whose tokens these are, in order
  std::vector<int64_t> counts;   // of each
  at::Tensor sizes = {};         // [m] float32, places that each stands for; undefined: one
  at::Tensor saliency = {};      // [m] float32, as in PictureFeatures
};

/// Puts a picture's tokens in order after the connector. Immutable and thread-safe.
class Arranger {
 public:
  virtual ~Arranger() = default;
  /// A still: features [P, n, D] of its tiles, row by row, then of the whole.
  virtual ArrangedPicture still(const PictureFeatures& features, const CutPicture& cut) const = 0;
  /// A frame of a film, which is not cut: features [1, n, D].
  virtual ArrangedPicture frame(const PictureFeatures& features, const CutPicture& cut) const = 0;
  /// Whether it rearranges the grid; else it takes tokens that merged and left it.
  virtual bool needs_grid() const { return true; }
  /// What follows the last frame of a film: [k, D], or undefined for nothing.
  virtual at::Tensor after_film() const = 0;
};
using ArrangerPtr = std::shared_ptr<const Arranger>;

/// Leaves every tile by itself, as most models read them.
ArrangerPtr make_apart();

/// The table of other arrangers, by the architecture of the whole model. A factory gets its
/// configuration and the place of the connector's weights.
const Registry<Arranger, const Json&, const WeightScope&>& arrangers();

std::unique_ptr<Arranger> make_leopard_arranger(const Json& config, const WeightScope& scope);
std::unique_ptr<Arranger> make_onevision_arranger(const Json& config, const WeightScope& scope);

}  // namespace lv::vision
