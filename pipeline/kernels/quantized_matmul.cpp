#include "pipeline/kernels/quantized_matmul.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_avx2.h"
#include "pipeline/kernels/quantized_blocks.h"

namespace lv {
namespace {

constexpr int64_t kTileRows = 64;             // rows of W that a thread makes dense at a time
constexpr int64_t kMaxFusedRows = 16;         // of x; beyond, BLAS is faster
constexpr int64_t kWeightsPerTask = 1 << 15;  // less is not worth a second thread

/// Throws kInvalidArgument unless the matrix is what its sizes say.
void check_matrix(const QuantizedMatrix& matrix) {
  const BlockLayout layout = layout_of(matrix.format);
  check(matrix.columns >= 0 && matrix.columns % layout.weights == 0, ErrorCode::kInvalidArgument,
        "quantized matrix: expected columns that are a multiple of " +
            std::to_string(layout.weights) + ", got " + std::to_string(matrix.columns));
  check_shape(matrix.blocks, "quantized matrix",
              {matrix.rows, matrix.columns / layout.weights * layout.bytes});
  check_dtype(matrix.blocks, "quantized matrix", at::kByte);
  check(matrix.blocks.is_cpu() && matrix.blocks.is_contiguous(), ErrorCode::kInvalidArgument,
        "quantized matrix: expected contiguous blocks on the CPU");
}

void decode(BlockFormat format, const uint8_t* row, int64_t columns, float* out) {
  if (has_avx2()) {
    decode_row_avx2(format, row, columns, out);
  } else {
    decode_row(format, row, columns, out);
  }
}

/// Rows per task, so that a task has enough to do.
int64_t grain_rows(const QuantizedMatrix& matrix) {
  return std::max<int64_t>(1, kWeightsPerTask / std::max<int64_t>(1, matrix.columns));
}

/// For few rows of x: each thread reads its rows of W once and keeps nothing of them.
void multiply_fused(const at::Tensor& input, const QuantizedMatrix& weight,
                    const at::Tensor& output) {
  const int64_t n = input.size(0);
  const auto* x = input.const_data_ptr<float>();
  auto* y = output.mutable_data_ptr<float>();
  const auto* blocks = weight.blocks.const_data_ptr<uint8_t>();
  const int64_t row_bytes = weight.blocks.size(1);
  at::parallel_for(0, weight.rows, grain_rows(weight), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      for (int64_t i = 0; i < n; i += kMaxDotRows) {
        dot_row_avx2(weight.format, blocks + row * row_bytes, weight.columns,
                     x + i * weight.columns, std::min(kMaxDotRows, n - i),
                     y + i * weight.rows + row, weight.rows);
      }
    }
  });
}

/// For many rows of x: each thread makes a tile of W dense, small enough for its cache, and leaves
/// the product to BLAS, which runs on one thread within a parallel region.
void multiply_tiled(const at::Tensor& x, const QuantizedMatrix& weight, const at::Tensor& y) {
  const auto* blocks = weight.blocks.const_data_ptr<uint8_t>();
  const int64_t row_bytes = weight.blocks.size(1);
  const int64_t tiles = (weight.rows + kTileRows - 1) / kTileRows;
  at::parallel_for(0, tiles, 1, [&](int64_t first, int64_t last) {
    c10::InferenceMode no_autograd;  // a mode of the thread
    const at::Tensor scratch = at::empty({kTileRows, weight.columns}, at::kFloat);
    auto* dense = scratch.mutable_data_ptr<float>();
    for (int64_t tile = first; tile < last; ++tile) {
      const int64_t begin = tile * kTileRows;
      const int64_t rows = std::min(kTileRows, weight.rows - begin);
      for (int64_t r = 0; r < rows; ++r) {
        decode(weight.format, blocks + (begin + r) * row_bytes, weight.columns,
               dense + r * weight.columns);
      }
      at::Tensor part = y.slice(1, begin, begin + rows);
      at::mm_out(part, x, scratch.slice(0, 0, rows).t());
    }
  });
}

}  // namespace

at::Tensor dequantize_rows(const QuantizedMatrix& matrix, const at::Tensor& rows) {
  check_matrix(matrix);
  check_shape(rows, "rows", {-1});
  check_dtype(rows, "rows", at::kLong);
  const at::Tensor chosen = rows.cpu().contiguous();
  const auto* row = chosen.const_data_ptr<int64_t>();
  const auto* blocks = matrix.blocks.const_data_ptr<uint8_t>();
  at::Tensor out = at::empty({chosen.size(0), matrix.columns}, at::kFloat);
  auto* to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < chosen.size(0); ++i) {
    if (row[i] < 0 || row[i] >= matrix.rows) {
      throw Error(ErrorCode::kInvalidArgument, "rows: expected 0 to " +
                                                   std::to_string(matrix.rows - 1) + ", got " +
                                                   std::to_string(row[i]));
    }
    decode(matrix.format, blocks + row[i] * matrix.blocks.size(1), matrix.columns,
           to + i * matrix.columns);
  }
  return out;
}

at::Tensor dequantize(const QuantizedMatrix& matrix) {
  check_matrix(matrix);
  at::Tensor out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  const auto* blocks = matrix.blocks.const_data_ptr<uint8_t>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, matrix.rows, grain_rows(matrix), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      decode(matrix.format, blocks + row * matrix.blocks.size(1), matrix.columns,
             to + row * matrix.columns);
    }
  });
  return out;
}

at::Tensor quantized_matmul(const at::Tensor& x, const QuantizedMatrix& weight) {
  check_matrix(weight);
  check_shape(x, "x", {-1, weight.columns});
  check_dtype(x, "x", at::kFloat);
  const at::Tensor input = x.contiguous();
  const int64_t n = input.size(0);
  at::Tensor y = at::empty({n, weight.rows}, at::kFloat);
  if (n == 0 || weight.rows == 0) return y;
  if (weight.columns == 0) return y.zero_();
  if (has_avx2() && n <= kMaxFusedRows) {
    multiply_fused(input, weight, y);
  } else {
    multiply_tiled(input, weight, y);
  }
  return y;
}

}  // namespace lv
