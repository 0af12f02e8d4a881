#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv {

/// How stored rows and columns are shown, in EXIF's numbering (TIFF 6.0, tag 274): 1 as stored,
/// 2 mirrored, 3 turned by half, 4 upside down and mirrored, 5 transposed, 6 turned clockwise,
/// 7 transposed along the other diagonal, 8 turned counter-clockwise.
using Orientation = int;

/// Whether width and height change places.
inline bool swaps_sides(Orientation orientation) { return orientation >= 5 && orientation <= 8; }

/// The nearest orientation of FFmpeg's display matrix (9 numbers), 1 for nullptr or nonsense.
Orientation orientation_of_matrix(const int32_t* matrix);

/// [H, W, C] as stored -> [H', W', C] as shown. A view where that can be.
at::Tensor turn(const at::Tensor& pixels, Orientation orientation);

}  // namespace lv
