#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

/// x [n, in] times weight [out, in] transposed, [n, out]. A few rows, of float16 or bfloat16 on a
/// GPU, are one pass over the weight by a kernel that does nothing but keep the memory busy; sums
/// are of float32. Else at::linear.
at::Tensor few_rows_linear(const at::Tensor& x, const at::Tensor& weight);

}  // namespace lv
