#include "pipeline/kernels/quantized_matmul.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/crew.h"
#include "pipeline/kernels/quantized_blocks.h"
#include "pipeline/kernels/quantized_kernels.h"

namespace lv {
namespace {

constexpr int64_t kTileRows = 64;             // rows of W that a thread makes dense at a time
constexpr int64_t kMaxFusedRows = 16;         // of x in floats; beyond, BLAS is faster
constexpr int64_t kMaxDottedRows = 4;         // of x in integers; beyond, panels are faster
constexpr int64_t kPanelColumns = 2048;       // at most, so that a panel stays in a core's cache
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
  if (const QuantizedKernels* kernels = quantized_kernels()) {
    kernels->decode(format, row, columns, out);
  } else {
    decode_row(format, row, columns, out);
  }
}

/// Rows per task, so that a task has enough to do.
int64_t grain_rows(const QuantizedMatrix& matrix) {
  return std::max<int64_t>(1, kWeightsPerTask / std::max<int64_t>(1, matrix.columns));
}

int64_t row_bytes_of(const QuantizedMatrix& matrix) {
  return matrix.columns / layout_of(matrix.format).weights * layout_of(matrix.format).bytes;
}

/// 0 .. count in parts of at most `most`.
template <class Work>
void share_in_parts(int64_t count, int64_t most, const Work& work) {
  share_tasks((count + most - 1) / most, at::get_num_threads(),
              [&](int64_t part) { work(part * most, std::min((part + 1) * most, count)); });
}

/// A product under way: y [n, rows] = x W^T.
struct Product {
  const QuantizedMatrix* weight;
  float* y;
};

/// The products' rows in tasks of about equal work, of one product each: task(product, first row,
/// last row).
template <class Task>
void share_rows(std::span<const Product> products, int64_t rows_per_task, const Task& task) {
  std::vector<int64_t> first = {0};  // task of each product
  for (const Product& product : products) {
    first.push_back(first.back() + (product.weight->rows + rows_per_task - 1) / rows_per_task);
  }
  share_tasks(first.back(), at::get_num_threads(), [&](int64_t number) {
    const auto after = std::upper_bound(first.begin(), first.end(), number);
    const auto which = static_cast<size_t>(after - first.begin() - 1);
    const int64_t begin = (number - first[which]) * rows_per_task;
    task(products[which], begin, std::min(begin + rows_per_task, products[which].weight->rows));
  });
}

/// In floats, for few rows of x: each thread reads its rows of W once and keeps nothing of them.
void multiply_fused(const QuantizedKernels& kernels, const float* x, int64_t n,
                    const Product& product) {
  const int64_t columns = product.weight->columns;
  const int64_t row_bytes = row_bytes_of(*product.weight);
  const auto* blocks = product.weight->blocks.const_data_ptr<uint8_t>();
  share_rows({&product, 1}, grain_rows(*product.weight),
             [&](const Product& of, int64_t first, int64_t last) {
               for (int64_t row = first; row < last; ++row) {
                 for (int64_t i = 0; i < n; i += kMaxDotRows) {
                   kernels.dot(of.weight->format, blocks + row * row_bytes, columns,
                               x + i * columns, std::min(kMaxDotRows, n - i),
                               of.y + i * of.weight->rows + row, of.weight->rows);
                 }
               }
             });
}

/// The same in integers.
void multiply_dotted(const QuantizedKernels& kernels, RoundedRows x, int64_t n,
                     std::span<const Product> products) {
  share_rows(products, grain_rows(*products[0].weight),
             [&](const Product& of, int64_t first, int64_t last) {
               const int64_t row_bytes = row_bytes_of(*of.weight);
               const auto* blocks = of.weight->blocks.const_data_ptr<uint8_t>();
               for (int64_t i = 0; i < n; i += kMaxDotRows) {
                 kernels.dot_rounded(of.weight->format, blocks + first * row_bytes, row_bytes,
                                     last - first, x.from(i), std::min(kMaxDotRows, n - i),
                                     of.y + i * of.weight->rows + first, of.weight->rows);
               }
             });
}

/// What a thread needs for a panel of W and its products with n rows of x.
class PanelSpace {
 public:
  PanelSpace(int64_t columns, int64_t n)
      : values_(
            std::make_unique_for_overwrite<int16_t[]>(static_cast<size_t>(kPanelRows * columns))),
        scales_(std::make_unique_for_overwrite<float[]>(
            static_cast<size_t>(kPanelRows * columns / kGroup * 2))),
        sums_(static_cast<size_t>(kPanelRows * n)),
        minima_at_(kPanelRows * columns / kGroup) {}

  Panel panel() { return {values_.get(), scales_.get(), scales_.get() + minima_at_}; }
  float* sums() { return sums_.data(); }

 private:
  std::unique_ptr<int16_t[]> values_;
  std::unique_ptr<float[]> scales_;
  std::vector<float> sums_;
  int64_t minima_at_;
};

/// In integers, for many rows of x: each thread interleaves a panel of W, small enough for its
/// cache, and multiplies all rows of x with it.
void multiply_panels(const QuantizedKernels& kernels, RoundedRows x, int64_t n,
                     std::span<const Product> products) {
  share_rows(products, kPanelRows, [&](const Product& of, int64_t first, int64_t last) {
    const QuantizedMatrix& weight = *of.weight;
    const BlockLayout layout = layout_of(weight.format);
    const int64_t row_bytes = row_bytes_of(weight);
    const int64_t step = std::min(kPanelColumns, weight.columns);
    PanelSpace space(step, n);
    const auto* blocks = weight.blocks.const_data_ptr<uint8_t>() + first * row_bytes;
    for (int64_t done = 0; done < weight.columns; done += step) {
      const int64_t columns = std::min(step, weight.columns - done);
      kernels.pack(weight.format, blocks + done / layout.weights * layout.bytes, row_bytes,
                   last - first, columns, space.panel());
      const RoundedRows part{x.values + done, x.steps + done / kGroup * 2, x.columns};
      kernels.multiply(space.panel(), columns, has_minima(weight.format), part, n, space.sums());
    }
    for (int64_t i = 0; i < n; ++i) {
      std::copy_n(space.sums() + i * kPanelRows, last - first, of.y + i * weight.rows + first);
    }
  });
}

/// In floats, for many rows of x: each thread makes a tile of W dense, small enough for its cache,
/// and leaves the product to BLAS, which runs on one thread within a parallel region.
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

void multiply_integers(const QuantizedKernels& kernels, const at::Tensor& input,
                       std::span<const Product> products) {
  const int64_t n = input.size(0);
  const int64_t columns = input.size(1);
  const at::Tensor values = at::empty({n, columns}, at::kShort);
  const at::Tensor steps = at::empty({n, columns / kGroup, 2}, at::kFloat);
  const auto* from = input.const_data_ptr<float>();
  auto* values_to = values.mutable_data_ptr<int16_t>();
  auto* steps_to = steps.mutable_data_ptr<float>();
  share_in_parts(n, kWeightsPerTask / columns + 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      kernels.round(from + i * columns, columns, values_to + i * columns,
                    steps_to + i * (columns / kGroup) * 2);
    }
  });
  const RoundedRows x{values_to, steps_to, columns};
  (n <= kMaxDottedRows ? multiply_dotted : multiply_panels)(kernels, x, n, products);
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
  const QuantizedMatrix* one = &weight;
  return quantized_matmuls(x, {&one, 1}).front();
}

std::vector<at::Tensor> quantized_matmuls(const at::Tensor& x,
                                          std::span<const QuantizedMatrix* const> weights) {
  std::vector<at::Tensor> all;
  std::vector<Product> in_integers;
  const QuantizedKernels* kernels = quantized_kernels();
  at::Tensor input;
  for (const QuantizedMatrix* weight : weights) {
    check_matrix(*weight);
    check_shape(x, "x", {-1, weight->columns});
    check_dtype(x, "x", at::kFloat);
    if (!input.defined()) input = x.contiguous();
    const int64_t n = input.size(0);
    at::Tensor y = at::empty({n, weight->rows}, at::kFloat);
    all.push_back(y);
    if (y.numel() == 0) continue;
    const Product product{weight, y.mutable_data_ptr<float>()};
    if (weight->columns == 0) {
      y.zero_();
    } else if (kernels != nullptr && multiplies_integers(weight->format)) {
      in_integers.push_back(product);
    } else if (kernels != nullptr && n <= kMaxFusedRows) {
      multiply_fused(*kernels, input.const_data_ptr<float>(), n, product);
    } else {
      multiply_tiled(input, *weight, y);
    }
  }
  if (!in_integers.empty()) multiply_integers(*kernels, input, in_integers);
  return all;
}

}  // namespace lv
