#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/connectors/arranger.h"
#include "vision/connectors/cell_boxes.h"

namespace lv::vision {
namespace {

/// The tile that each of `pictures` shows: [P, 2]. The tiles come first, then the whole.
at::Tensor tiles_of(const PatchGrid& tiles, int64_t pictures) {
  const at::Tensor places = at::zeros({pictures, 2}, at::kInt);
  check(static_cast<int64_t>(tiles.rows) * tiles.columns <= pictures, ErrorCode::kInternal,
        "picture.tiles: expected as many as pictures, got more");
  for (int64_t i = 0; i < static_cast<int64_t>(tiles.rows) * tiles.columns; ++i) {
    places[i][0] = i / tiles.columns + 1;
    places[i][1] = i % tiles.columns + 1;
  }
  return places;
}

class Apart : public Arranger {
 public:
  ArrangedPicture still(const PictureFeatures& features, const CutPicture& cut) const override {
    const int64_t pictures = features.features.size(0), tokens = features.features.size(1);
    const at::Tensor whole = cut.boxes.clamp(0, 1).unsqueeze(1).expand({-1, features.whole, 4});
    const at::Tensor places = at::cat({whole, cell_boxes(cut.boxes, features.grid)}, 1);
    const auto count = static_cast<size_t>(pictures);
    ArrangedPicture arranged{features.features.flatten(0, 1), places.reshape({-1, 4}),
                             tiles_of(cut.tiles, pictures).repeat_interleave(tokens, 0),
                             std::vector<PatchGrid>(count, features.grid),
                             std::vector<int64_t>(count, tokens)};
    if (features.saliency.defined()) arranged.saliency = features.saliency.flatten();
    if (features.merged) {
      arranged.grids.assign(count, {});
      arranged.boxes = merged_boxes(places, *features.merged).reshape({-1, 4});
      arranged.sizes = features.merged->sizes.flatten();
    }
    return arranged;
  }

  ArrangedPicture frame(const PictureFeatures& features, const CutPicture& cut) const override {
    return still(features, cut);
  }

  bool needs_grid() const override { return false; }
  at::Tensor after_film() const override { return {}; }
};

}  // namespace

ArrangerPtr make_apart() { return std::make_shared<Apart>(); }

}  // namespace lv::vision
