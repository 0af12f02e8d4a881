#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lv::vision {

// B groups of as many tokens each, as the pictures of one batch, which merge side by side.
// Positions and rows count from the beginning of the group.

/// One step of bipartite soft matching over t tokens: the even ones look for their likest odd one,
/// and the r best pairs merge.
struct BipartiteMatch {
  at::Tensor kept;    // [B, a - r] even tokens that stay, in the order of the next state
  at::Tensor merged;  // [B, r] even tokens that go, best pair first
  at::Tensor into;    // [B, r] the odd token that each of them joins
};

/// Matches by the cosine of `metric` [B, t, D]; a zero vector is like nothing. At most half of the
/// tokens can merge: r' = min(r, (t - p) / 2), p = 1 with a class token. Ties keep the lower index.
/// With a class token, token 0 never merges and the kept tokens stay in order; without, the kept
/// tokens come in falling order of their best cosine.
/// Reference: Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023, section 3.
BipartiteMatch match_bipartite(const at::Tensor& metric, int64_t r, bool class_token);

/// The same by the mean over heads of keys [B, H, t, Dh], in float32.
BipartiteMatch match_keys(const at::Tensor& keys, int64_t r, bool class_token);

/// Tokens on their way through several steps.
struct MergeState {
  at::Tensor features;   // [B, t, D]
  at::Tensor sizes;      // [B, t] float32, input tokens in each row
  at::Tensor positions;  // [B, t] int64, the input token whose place each row holds
  at::Tensor row_of;     // [B, M] int64, the row that stands for each input token
};

/// Every token of [B, M, D] by itself.
MergeState unmerged(const at::Tensor& features);

/// Rows after a step: the kept even ones, then all odd ones, each with what joined it as a mean
/// weighted by size, reckoned in float32. Where nothing merges, nothing moves. On a GPU by kernels
/// for float32, float16 and bfloat16, else merge_reference(). `delta` [B, t, D], if defined, is
/// added to the features before.
MergeState merge(const MergeState& state, const BipartiteMatch& match,
                 const at::Tensor& delta = {});
/// The same by operators of LibTorch.
MergeState merge_reference(MergeState state, const BipartiteMatch& match, const at::Tensor& delta);

/// The rows in the order of the places that they hold.
MergeState in_reading_order(const MergeState& state);

}  // namespace lv::vision
