#include "pipeline/kernels/quantized_matmul.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_blocks.h"

namespace lv {
namespace {

constexpr int64_t kTileRows = 256;  // rows of W that are dense at a time

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

/// Rows begin .. end of the matrix as floats [end - begin, columns].
void decode_rows(const QuantizedMatrix& matrix, int64_t begin, int64_t end, float* out) {
  const auto* blocks = matrix.blocks.const_data_ptr<uint8_t>();
  const int64_t row_bytes = matrix.blocks.size(1);
  at::parallel_for(begin, end, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      decode_row(matrix.format, blocks + row * row_bytes, matrix.columns,
                 out + (row - begin) * matrix.columns);
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
    check(row[i] >= 0 && row[i] < matrix.rows, ErrorCode::kInvalidArgument,
          "rows: expected 0 to " + std::to_string(matrix.rows - 1) + ", got " +
              std::to_string(row[i]));
    decode_row(matrix.format, blocks + row[i] * matrix.blocks.size(1), matrix.columns,
               to + i * matrix.columns);
  }
  return out;
}

at::Tensor dequantize(const QuantizedMatrix& matrix) {
  check_matrix(matrix);
  at::Tensor out = at::empty({matrix.rows, matrix.columns}, at::kFloat);
  decode_rows(matrix, 0, matrix.rows, out.mutable_data_ptr<float>());
  return out;
}

at::Tensor quantized_matmul(const at::Tensor& x, const QuantizedMatrix& weight) {
  check_matrix(weight);
  check_shape(x, "x", {-1, weight.columns});
  check_dtype(x, "x", at::kFloat);
  at::Tensor y = at::empty({x.size(0), weight.rows}, at::kFloat);
  at::Tensor tile = at::empty({std::min(kTileRows, weight.rows), weight.columns}, at::kFloat);
  for (int64_t begin = 0; begin < weight.rows; begin += kTileRows) {
    const int64_t end = std::min(begin + kTileRows, weight.rows);
    decode_rows(weight, begin, end, tile.mutable_data_ptr<float>());
    at::Tensor part = y.slice(1, begin, end);
    at::mm_out(part, x, tile.slice(0, 0, end - begin).t());
  }
  return y;
}

}  // namespace lv
