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

}  // namespace lv::vision
