#include "pipeline/media/orientation.h"

#include <ATen/ATen.h>

#include <cstdlib>

namespace lv {

Orientation orientation_of_matrix(const int32_t* matrix) {
  if (matrix == nullptr) return 1;
  // A stored point (x, y) is shown at (a x + c y, b x + d y), up to a shift.
  const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (std::abs(a) + std::abs(d) >= std::abs(b) + std::abs(c)) {
    if (a >= 0) return d >= 0 ? 1 : 4;
    return d >= 0 ? 2 : 3;
  }
  if (b >= 0) return c >= 0 ? 5 : 6;
  return c >= 0 ? 8 : 7;
}

at::Tensor turn(const at::Tensor& pixels, Orientation orientation) {
  switch (orientation) {
    case 2:
      return pixels.flip({1});
    case 3:
      return pixels.flip({0, 1});
    case 4:
      return pixels.flip({0});
    case 5:
      return pixels.transpose(0, 1);
    case 6:
      return pixels.transpose(0, 1).flip({1});
    case 7:
      return pixels.transpose(0, 1).flip({0, 1});
    case 8:
      return pixels.transpose(0, 1).flip({0});
    default:
      return pixels;
  }
}

}  // namespace lv
