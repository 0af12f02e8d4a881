#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// The rows of `matrix` that `rows` names ([n] int64), as floats [n, columns]. Exact: each block's
/// published formula.
at::Tensor dequantize_rows(const QuantizedMatrix& matrix, const at::Tensor& rows);
/// The whole matrix as floats [rows, columns].
at::Tensor dequantize(const QuantizedMatrix& matrix);

/// x W^T with W left quantised: [n, columns] float -> [n, rows] float. W is read once for small n.
/// Reference: dequantize() and a matrix product; equal to 1e-5 of the largest value.
at::Tensor quantized_matmul(const at::Tensor& x, const QuantizedMatrix& weight);

}  // namespace lv
