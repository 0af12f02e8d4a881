#include "vision/encoders/picture_features.h"

#include <ATen/ATen.h>

namespace lv::vision {

at::Tensor in_squares(const at::Tensor& features, PatchGrid grid, int64_t side) {
  const int64_t pictures = features.size(0), width = features.size(2);
  const int64_t rows = grid.rows / side, columns = grid.columns / side;
  return features.reshape({pictures, rows, side, columns, side, width})
      .transpose(2, 3)
      .reshape({pictures, rows * columns, side * side * width});
}

}  // namespace lv::vision
