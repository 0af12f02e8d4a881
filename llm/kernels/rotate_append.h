#pragma once

#include <ATen/core/Tensor.h>

#include "llm/kernels/paged_attention.h"
#include "pipeline/nn/rope.h"

namespace lv::llm {

/// Rotates the newest query and key of each of B sequences, q [B, H, Dh] and k [B, Hkv, Dh], and
/// stores key and value, v [B, Hkv, Dh], where the sequence's plan says. Rows are contiguous; those
/// of q are rotated in place, and so may be k's. An undefined table rotates nothing. A sequence
/// that sees nothing stores nothing. One kernel on a GPU, operators of LibTorch elsewhere.
void rotate_append(at::Tensor& q, at::Tensor& k, const at::Tensor& v, const RopeTable& table,
                   const PagePlans& pages);

}  // namespace lv::llm
