#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// The rows of `matrix` that `rows` names ([n] int64), as floats [n, columns]. Exact: each block's
/// published formula.
at::Tensor dequantize_rows(const QuantizedMatrix& matrix, const at::Tensor& rows);
/// The whole matrix as floats [rows, columns].
at::Tensor dequantize(const QuantizedMatrix& matrix);

/// x W^T with W left quantised: [n, columns] float -> [n, rows] float. Where the processor has the
/// instructions, x is rounded to 16 bits, a step for each 32 of a row, and multiplied in integers
/// with all formats but Q2_K, float16 and bfloat16.
/// Reference: dequantize() and a matrix product; equal to 1e-4 of the largest value, in floats to
/// 1e-5.
at::Tensor quantized_matmul(const at::Tensor& x, const QuantizedMatrix& weight);

/// x W^T of several W at once: x is rounded once, and threads go on to the next without a pause.
std::vector<at::Tensor> quantized_matmuls(const at::Tensor& x,
                                          std::span<const QuantizedMatrix* const> weights);

}  // namespace lv
