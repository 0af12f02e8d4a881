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

}  // namespace lv::llm
