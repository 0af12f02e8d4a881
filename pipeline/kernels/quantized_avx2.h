#pragma once

#include <cstdint>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// Whether this machine has the instructions that the two functions below need.
bool has_avx2();

/// decode_row(), eight weights at a time; equal to it up to the last bit of a float.
void decode_row_avx2(BlockFormat format, const uint8_t* row, int64_t columns, float* out);

/// Scalar products of one row of blocks with `count` rows of x, 1 to kMaxDotRows: the blocks are
/// read once. y[i * y_stride] = row . x[i * columns ...].
constexpr int64_t kMaxDotRows = 8;
void dot_row_avx2(BlockFormat format, const uint8_t* row, int64_t columns, const float* x,
                  int64_t count, float* y, int64_t y_stride);

}  // namespace lv
