#include "vision/connectors/cell_boxes.h"

#include <ATen/ATen.h>

namespace lv::vision {

at::Tensor cell_boxes(const at::Tensor& boxes, const PatchGrid& grid) {
  const at::Tensor left = at::arange(grid.columns, at::kFloat) / grid.columns;
  const at::Tensor top = at::arange(grid.rows, at::kFloat) / grid.rows;
  const at::Tensor x0 = left.repeat({grid.rows});
  const at::Tensor y0 = top.repeat_interleave(grid.columns);
  const at::Tensor cells = at::stack({x0, y0, x0 + 1.0 / grid.columns, y0 + 1.0 / grid.rows},
                                     -1);  // [cells, 4] of the box
  const at::Tensor origin = boxes.slice(1, 0, 2).repeat({1, 2}).unsqueeze(1);  // [P, 1, 4]
  const at::Tensor extent = (boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2)).repeat({1, 2});
  return (origin + extent.unsqueeze(1) * cells).clamp(0, 1);
}

at::Tensor merged_boxes(const at::Tensor& boxes, const MergedPlaces& merged) {
  const at::Tensor rows = merged.row_of.unsqueeze(2).expand({-1, -1, 2});
  const auto extreme = [&](int64_t first, const char* which) {
    return at::zeros({boxes.size(0), merged.sizes.size(1), 2}, boxes.options())
        .scatter_reduce(1, rows, boxes.slice(2, first, first + 2), which, /*include_self=*/false);
  };
  return at::cat({extreme(0, "amin"), extreme(2, "amax")}, 2);
}

}  // namespace lv::vision
