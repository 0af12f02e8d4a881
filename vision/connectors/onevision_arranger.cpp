#include <ATen/ATen.h>

#include <cmath>
#include <string>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "vision/connectors/arranger.h"
#include "vision/connectors/cell_boxes.h"

namespace lv::vision {
namespace {

constexpr double kShrinkBeyond = 1.1;  // times the side of the most tiles

at::Tensor whole_box() { return at::tensor({0.f, 0.f, 1.f, 1.f}).unsqueeze(0); }

/// N of "anyres_max_N": how many tiles' worth of tokens a picture may take.
int64_t most_tiles(const Json& config) {
  const std::string rule = config.get("vision_aspect_ratio", "anyres_max_9"), begin = "anyres_max_";
  check(rule.starts_with(begin) && rule.size() > begin.size() && rule.size() < begin.size() + 5 &&
            rule.find_first_not_of("0123456789", begin.size()) == std::string::npos,
        ErrorCode::kUnimplemented, "vision_aspect_ratio: expected anyres_max_N, got " + rule);
  return std::stoll(rule.substr(begin.size()));
}

/// The whole picture, then the grid of all tiles without what padding made, shrunk if it is large,
/// with a learned token after each row. Frames of films are halved, and one such token follows the
/// last.
/// Reference: Li et al., LLaVA-OneVision: Easy Visual Task Transfer, 2024, section 3.2; rounding as
/// in transformers' LlavaOnevisionModel.
class OnevisionArranger : public Arranger {
 public:
  OnevisionArranger(const Json& config, const WeightScope& scope)
      : most_tiles_(most_tiles(config)), newline_(scope.get("image_newline", {-1})) {}

  ArrangedPicture still(const PictureFeatures& features, const CutPicture& cut) const override {
    const int64_t rows = features.grid.rows, columns = features.grid.columns;
    const int64_t tiles = static_cast<int64_t>(cut.tiles.rows) * cut.tiles.columns;
    check_shape(features.features, "features", {tiles + 1, rows * columns, newline_.size(0)});
    const at::Tensor whole = features.features[tiles];
    const at::Tensor whole_boxes = cell_boxes(whole_box(), features.grid)[0];
    if (tiles == 0) {
      return picture(at::cat({whole, newline_.unsqueeze(0)}),
                     at::cat({whole_boxes, at::ones({1, 4})}), {features.grid, {1, 1}});
    }
    const at::Tensor side_by_side =
        features.features.slice(0, 0, tiles)
            .view({cut.tiles.rows, cut.tiles.columns, rows, columns, -1})
            .permute({4, 0, 2, 1, 3})
            .reshape({-1, cut.tiles.rows * rows, cut.tiles.columns * columns});
    const at::Tensor grid = shrunk(unpadded(side_by_side, cut), rows);  // [D, R, C]
    const at::Tensor ends = newline_.view({-1, 1, 1}).expand({-1, grid.size(1), 1});
    const PatchGrid cells{static_cast<int32_t>(grid.size(1)), static_cast<int32_t>(grid.size(2))};
    const at::Tensor boxes = cell_boxes(whole_box(), cells).view({cells.rows, cells.columns, 4});
    at::Tensor end_boxes = boxes.slice(1, cells.columns - 1).clone();
    end_boxes.select(2, 0).fill_(1);
    return picture(at::cat({whole, at::cat({grid, ends}, 2).flatten(1).t()}),
                   at::cat({whole_boxes, at::cat({boxes, end_boxes}, 1).flatten(0, 1)}),
                   {features.grid, {cells.rows, cells.columns + 1}});
  }

  ArrangedPicture frame(const PictureFeatures& features, const CutPicture&) const override {
    const int64_t rows = features.grid.rows, columns = features.grid.columns;
    check_shape(features.features, "features", {1, rows * columns, newline_.size(0)});
    const PatchGrid half{static_cast<int32_t>((rows + 1) / 2),
                         static_cast<int32_t>((columns + 1) / 2)};
    const at::Tensor grid = features.features.view({1, rows, columns, -1}).permute({0, 3, 1, 2});
    const at::Tensor pooled =
        at::upsample_bilinear2d(grid, {half.rows, half.columns}, /*align_corners=*/false);
    ArrangedPicture arranged =
        picture(pooled[0].flatten(1).t(), cell_boxes(whole_box(), half)[0], {half});
    if (features.saliency.defined()) {
      arranged.saliency = at::upsample_bilinear2d(features.saliency.view({1, 1, rows, columns}),
                                                  {half.rows, half.columns}, false)
                              .flatten();
    }
    return arranged;
  }

  at::Tensor after_film() const override { return newline_.unsqueeze(0); }

 private:
  static ArrangedPicture picture(const at::Tensor& features, const at::Tensor& boxes,
                                 std::vector<PatchGrid> grids) {
    ArrangedPicture all{
        features, boxes, at::zeros({features.size(0), 2}, at::kInt), std::move(grids), {}};
    for (const PatchGrid& grid : all.grids) {
      all.counts.push_back(static_cast<int64_t>(grid.rows) * grid.columns);
    }
    return all;
  }

  /// Without the rows or columns that show padding alone: [D, R, C].
  static at::Tensor unpadded(const at::Tensor& grid, const CutPicture& cut) {
    const int64_t rows = grid.size(1), columns = grid.size(2);
    const auto height = static_cast<double>(cut.height), width = static_cast<double>(cut.width);
    const auto scaled = [](double side, double scale) {
      return static_cast<int64_t>(std::round(side * scale * 1e7) / 1e7);
    };
    if (width / height > static_cast<double>(columns) / static_cast<double>(rows)) {
      const int64_t left = scaled(height, static_cast<double>(columns) / width);
      const int64_t padding = (rows - left) / 2;
      return grid.slice(1, padding, rows - padding);
    }
    const int64_t left = scaled(width, static_cast<double>(rows) / height);
    const int64_t padding = (columns - left) / 2;
    return grid.slice(2, padding, columns - padding);
  }

  at::Tensor shrunk(const at::Tensor& grid, int64_t tile_rows) const {
    const auto rows = static_cast<double>(grid.size(1)),
               columns = static_cast<double>(grid.size(2));
    const double ratio =
        std::sqrt(rows * columns / static_cast<double>(most_tiles_ * tile_rows * tile_rows));
    if (!(ratio > kShrinkBeyond)) return grid;
    const auto to = [ratio](double side) {
      return std::max<int64_t>(1, static_cast<int64_t>(std::floor(side / ratio)));
    };
    return at::upsample_bilinear2d(grid.unsqueeze(0), {to(rows), to(columns)},
                                   /*align_corners=*/false)[0];
  }

  int64_t most_tiles_;
  at::Tensor newline_;  // [D]
};

}  // namespace

std::unique_ptr<Arranger> make_onevision_arranger(const Json& config, const WeightScope& scope) {
  return std::make_unique<OnevisionArranger>(config, scope);
}

}  // namespace lv::vision
