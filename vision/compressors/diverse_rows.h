#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv::vision {

/// Picks `count` of each frame's N tokens that are unlike one another: first the one that is
/// farthest from its nearest other, then again and again the one that is farthest from all picked.
/// The distance to token j is 1 - cosine, times weight[j] where `weight` [F, N] is defined.
/// features: [F, N, D], count on 1 .. N. Result: [F, count] int64, ascending. Ties take the lower.
/// Reference: Fan et al., FlashVID, ICLR 2026, attention and diversity-based token selection.
at::Tensor diverse_rows(const at::Tensor& features, const at::Tensor& weight, int64_t count);

}  // namespace lv::vision
