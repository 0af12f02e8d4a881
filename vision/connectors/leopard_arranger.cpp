#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "pipeline/base/error.h"
#include "vision/connectors/arranger.h"

namespace lv::vision {
namespace {

/// Every tile by itself, the whole picture before the others or, by `tile_order`, behind them.
/// Reference: Jia et al., LEOPARD: A Vision Language Model for Text-Rich Multi-Image Tasks, TMLR
/// 2025; the published evaluation puts the whole first, the published training last.
class LeopardArranger : public Arranger {
 public:
  explicit LeopardArranger(const Json& config) : apart_(make_apart()) {
    const std::string order = config.get("tile_order", "whole_first");
    check(order == "whole_first" || order == "tiles_first", ErrorCode::kInvalidArgument,
          "tile_order: expected whole_first or tiles_first, got " + order);
    whole_first_ = order == "whole_first";
  }

  ArrangedPicture still(const PictureFeatures& features, const CutPicture& cut) const override {
    ArrangedPicture picture = apart_->still(features, cut);
    if (!whole_first_) return picture;
    const int64_t whole = picture.counts.back();
    for (at::Tensor* rows :
         {&picture.features, &picture.boxes, &picture.tile, &picture.sizes, &picture.saliency}) {
      if (rows->defined()) *rows = rows->roll(whole, 0);
    }
    std::ranges::rotate(picture.grids, picture.grids.end() - 1);
    std::ranges::rotate(picture.counts, picture.counts.end() - 1);
    return picture;
  }

  ArrangedPicture frame(const PictureFeatures& features, const CutPicture& cut) const override {
    return still(features, cut);
  }

  bool needs_grid() const override { return false; }
  at::Tensor after_film() const override { return {}; }

 private:
  ArrangerPtr apart_;
  bool whole_first_ = true;
};

}  // namespace

std::unique_ptr<Arranger> make_leopard_arranger(const Json& config, const WeightScope&) {
  return std::make_unique<LeopardArranger>(config);
}

}  // namespace lv::vision
