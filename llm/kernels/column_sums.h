#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/nn/attention.h"

namespace lv::llm {

/// How much each key is attended to: the weights that all queries give it, summed, mean over heads.
/// q [n, H, Dh], k [m, Hkv, Dh] and lse [n, H] of attend() under the same mask -> [m] float32,
/// whose sum is n. Takes memory for one block of scores beside the sums.
at::Tensor column_sums(const at::Tensor& q, const at::Tensor& k, const at::Tensor& lse,
                       CausalMask mask, double scale);

}  // namespace lv::llm
