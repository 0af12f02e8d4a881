#pragma once

#include <ATen/core/Tensor.h>

namespace lv {

/// silu(gate) * up, of one shape (SwiGLU without its matrices: Shazeer, arXiv 2002.05202, section
/// 2). `gate` is given away: the result may be written over it. On a GPU by one kernel if both are
/// contiguous, or halves of one [n, 2 F], of multiples of 8 elements of float32, float16 or
/// bfloat16; elsewhere by operators of LibTorch.
at::Tensor gated_silu(at::Tensor gate, const at::Tensor& up);

}  // namespace lv
