#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "llm/kv/kv_store.h"
#include "pipeline/nn/attention.h"

namespace lv::llm {

/// What the newest token of one sequence attends to.
struct PagedQuery {
  KvView view;
  std::vector<TokenRange> seen;
};

/// Attention of one query of each of S sequences to keys and values where they lie in pages:
/// q [S, H, Dh], H a multiple of the views' heads, all views of one store and layer. Pages that
/// several sequences begin with are read once for all of them (Hydragen, arXiv 2402.05099, section
/// 3.1) on a CPU with float32, whose tokens are shared out over threads. A GPU reads them in place
/// if heads have 64 or 128 dimensions of one type; elsewhere by gather().
Partial attend_paged(const at::Tensor& q, std::span<const PagedQuery> queries, double scale);

/// The pages of one layer, and which of them B sequences see. A plan is a row of integers: begin
/// and end of what a sequence sees first, then of what it sees last (zeros for nothing), then its
/// pages in order. Its newest token is the last that it sees.
struct PagePlans {
  at::Tensor keys, values;  // [pages, slots, Hkv, Dh]
  at::Tensor plans;         // [B, plan_size(P)] int32 on the same device
};

/// Integers of a plan with room for so many pages.
int64_t plan_size(int64_t pages);
/// Writes a plan of one range or two; what is behind the pages is left alone.
void write_plan(int32_t* plan, std::span<const TokenRange> seen, std::span<const int32_t> pages);

/// Into how many parts the tokens of each of so many sequences are split, of which none sees more
/// than `tokens`, to keep a GPU busy.
int64_t decode_splits(int64_t sequences, int64_t kv_heads, int64_t tokens);

/// attend_paged() of one query of each sequence, q [B, H, Dh] of contiguous rows, by plans that are
/// on the device: what is launched does not depend on what they say. A sequence that sees nothing
/// gets zeros.
Partial attend_planned(const at::Tensor& q, const PagePlans& pages, int64_t splits, double scale);

}  // namespace lv::llm
