#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "pipeline/weights/tensor_store.h"

namespace lv {

constexpr int64_t kGroup = 32;          // weights that share a step; columns are a multiple of it
constexpr int64_t kMaxDotRows = 8;      // rows of x that a scalar product takes at once
constexpr int64_t kPanelRows = 16;      // rows of W that a panel interleaves
constexpr int kLargestRounded = 16383;  // 32 of them times Q6_K's 4096 fit in 32 bits

/// Rows of activations as 16-bit integers: x = step * value, a step for each 32 of a row. A value
/// is off by at most 1/32766 of the largest of its 32. Borrows.
struct RoundedRows {
  const int16_t* values;  // [n, columns]
  const float* steps;     // [n, columns / 32, 2]: the step, and the sum of the 32 rounded numbers
  int64_t columns;

  RoundedRows from(int64_t row) const {
    return {values + row * columns, steps + row * (columns / kGroup) * 2, columns};
  }
};

/// Up to kPanelRows rows of W as integers, pairs of columns side by side: weight = step * value +
/// minimum. Missing rows hold anything. Borrows.
struct Panel {
  int16_t* values;  // [columns / 2, kPanelRows, 2]
  float* steps;     // [columns / 32, kPanelRows]
  float* minima;    // the same
};

/// Products with quantised rows for one kind of processor. Raw pointers, one thread, no checks.
struct QuantizedKernels {
  std::string_view name;  // of the instructions

  /// decode_row(), bit for bit.
  void (*decode)(BlockFormat format, const uint8_t* row, int64_t columns, float* out);

  /// Scalar products of one row of blocks with `count` rows of x, 1 to kMaxDotRows: the blocks are
  /// read once. y[i * y_stride] = row . x[i * columns ...].
  void (*dot)(BlockFormat format, const uint8_t* row, int64_t columns, const float* x,
              int64_t count, float* y, int64_t y_stride);

  /// The same in integers of `rows` rows of blocks, `row_bytes` apart, for formats of which
  /// multiplies_integers() is true. y[i * y_stride + r] = row r . row i of x.
  void (*dot_rounded)(BlockFormat format, const uint8_t* blocks, int64_t row_bytes, int64_t rows,
                      RoundedRows x, int64_t count, float* y, int64_t y_stride);

  /// One row of x, rounded. Numbers that are not finite make all of their 32 NaN.
  void (*round)(const float* x, int64_t columns, int16_t* values, float* steps);

  /// Columns of `rows` rows of blocks, `row_bytes` apart.
  void (*pack)(BlockFormat format, const uint8_t* blocks, int64_t row_bytes, int64_t rows,
               int64_t columns, Panel panel);

  /// sums [n, kPanelRows] += x panel^T, over `columns` of x, whose rows may be longer.
  void (*multiply)(Panel panel, int64_t columns, bool has_minima, RoundedRows x, int64_t n,
                   float* sums);
};

/// Whether a weight of the format is step * integer + minimum with one of each for every 32. Not
/// Q2_K, whose minima are of 16, nor the formats of floats.
bool multiplies_integers(BlockFormat format);
/// Whether minima of such a format are not all zero.
bool has_minima(BlockFormat format);

/// Those that run here, best first.
std::span<const QuantizedKernels* const> all_quantized_kernels();
/// The best of them, or nothing: then LibTorch multiplies what decode_row() made dense.
const QuantizedKernels* quantized_kernels();

}  // namespace lv
