#include "llm/kernels/column_sums.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/check_shape.h"

namespace lv::llm {
namespace {

constexpr int64_t kQueryRows = 64;
constexpr int64_t kKeyRows = 512;

/// Of one block of queries [n, H, Dh] and of keys [m, Hkv, Dh] -> [m].
at::Tensor block_sums(const at::Tensor& q, const at::Tensor& k, const at::Tensor& lse,
                      CausalMask mask, double scale) {
  const int64_t n = q.size(0);
  const int64_t m = k.size(0);
  const int64_t kv_heads = k.size(1);
  const int64_t group = q.size(1) / kv_heads;
  const auto by_head = [&](const at::Tensor& x) {  // [n, H, *] -> [Hkv, G n, *]
    return x.view({n, kv_heads, group, -1})
        .permute({1, 2, 0, 3})
        .reshape({kv_heads, group * n, -1});
  };
  const at::Tensor queries = by_head(q.to(at::kFloat) * scale);
  at::Tensor weights = at::matmul(queries, k.to(at::kFloat).permute({1, 2, 0}));
  weights = weights.sub_(by_head(lse)).exp_().view({kv_heads * group, n, m});
  weights.masked_fill_(~visible(n, m, mask, q.device()), 0.0);
  return weights.sum(at::IntArrayRef{0, 1}).div_(q.size(1));
}

}  // namespace

at::Tensor column_sums(const at::Tensor& q, const at::Tensor& k, const at::Tensor& lse,
                       CausalMask mask, double scale) {
  check_shape(k, "column sums k", {-1, -1, q.size(2)});
  check_shape(lse, "column sums lse", {q.size(0), q.size(1)});
  const int64_t m = k.size(0);
  at::Tensor sums = at::zeros({m}, q.options().dtype(at::kFloat));
  for (int64_t row = 0; row < q.size(0); row += kQueryRows) {
    const int64_t rows = std::min(kQueryRows, q.size(0) - row);
    const int64_t end = std::min(m, mask.offset + row + rows);  // that these queries see
    for (int64_t key = 0; key < end; key += kKeyRows) {
      const CausalMask within{mask.offset + row - key, mask.window,
                              std::max<int64_t>(0, mask.sinks - key)};
      const int64_t to = std::min(end, key + kKeyRows);
      sums.slice(0, key, to)
          .add_(block_sums(q.slice(0, row, row + rows), k.slice(0, key, to),
                           lse.slice(0, row, row + rows), within, scale));
    }
  }
  return sums;
}

}  // namespace lv::llm
