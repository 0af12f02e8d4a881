#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lv::llm {

/// How many of N tokens each of L layers keeps, so that all keep `keep` of the whole together: as
/// many as hold one share of a layer's importance, the same share in every layer, found by
/// bisection. `importance` [L, N] >= 0; `always` tokens are kept beside those. The sum is at most L
/// above the budget, unless that allows no more than `always` + 1 in each.
std::vector<int64_t> prefix_kv_counts(const at::Tensor& importance, double keep, int64_t always);

}  // namespace lv::llm
