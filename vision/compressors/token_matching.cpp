#include "vision/compressors/token_matching.h"

#include <ATen/ATen.h>

#include <limits>

#include "pipeline/base/check_shape.h"

namespace lv::vision {
namespace {

constexpr int64_t kScoresAtOnce = 1 << 24;  // bounds the memory that a match takes

struct Likest {
  at::Tensor score;  // [B, a] float32
  at::Tensor index;  // [B, a] int64, a row of b
};

/// For each row of a [B, a, D] the row of b [B, b, D] with the largest dot product. The table of
/// scores is never whole.
Likest likest_rows(const at::Tensor& a, const at::Tensor& b) {
  const int64_t columns = std::max<int64_t>(1, b.size(0) * b.size(1));
  const at::Tensor b_columns = b.transpose(1, 2);
  std::vector<at::Tensor> scores, indices;
  for (const at::Tensor& part : a.split(std::max<int64_t>(1, kScoresAtOnce / columns), 1)) {
    auto [score, index] = at::matmul(part, b_columns).max(2);
    scores.push_back(score);
    indices.push_back(index);
  }
  return {at::cat(scores, 1), at::cat(indices, 1)};
}

/// Rows of B groups of `count` rows each, [B, k], as rows of all of them, [B * k].
at::Tensor flat_rows(const at::Tensor& rows, int64_t count) {
  const at::Tensor begins = at::arange(rows.size(0), rows.options()).unsqueeze(1) * count;
  return (rows + begins).flatten();
}

}  // namespace

BipartiteMatch match_bipartite(const at::Tensor& metric, int64_t r, bool class_token) {
  check_shape(metric, "metric", {-1, -1, -1});
  const int64_t groups = metric.size(0), count = metric.size(1);
  const at::Tensor even =
      at::arange(0, count, 2, metric.options().dtype(at::kLong)).expand({groups, (count + 1) / 2});
  const int64_t merging = std::min(r, (count - (class_token ? 1 : 0)) / 2);
  if (merging <= 0) return {even, even.slice(1, 0, 0), even.slice(1, 0, 0)};

  const at::Tensor exact = metric.to(at::kFloat);
  const at::Tensor unit = exact / exact.norm(2, {2}, true).clamp_min(1e-30);
  Likest likest = likest_rows(unit.slice(1, 0, count, 2), unit.slice(1, 1, count, 2));
  if (class_token) likest.score.select(1, 0).fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor order = at::argsort(likest.score, /*stable=*/true, 1, /*descending=*/true);
  const at::Tensor going = order.slice(1, 0, merging);
  at::Tensor staying = order.slice(1, merging);
  if (class_token) staying = std::get<0>(staying.sort(1));
  return {staying * 2, going * 2, likest.index.gather(1, going) * 2 + 1};
}

MergeState unmerged(const at::Tensor& features) {
  check_shape(features, "features", {-1, -1, -1});
  const int64_t groups = features.size(0), count = features.size(1);
  const at::Tensor places =
      at::arange(count, features.options().dtype(at::kLong)).repeat({groups, 1});
  return {features, at::ones({groups, count}, features.options().dtype(at::kFloat)), places,
          places};
}

MergeState merge(const MergeState& state, const BipartiteMatch& match) {
  if (match.merged.size(1) == 0) return state;
  const int64_t groups = state.sizes.size(0), count = state.sizes.size(1);
  const int64_t kept = match.kept.size(1), width = state.features.size(2);
  const at::Tensor odd =
      at::arange(1, count, 2, state.positions.options()).expand({groups, count / 2});
  const at::Tensor order = at::cat({match.kept, odd}, 1);  // the old row of each new one
  const int64_t left = order.size(1);
  const at::Tensor joined = (match.into - 1).floor_divide(2) + kept;  // the new row of each merged
  at::Tensor new_row = at::empty({groups, count}, state.positions.options());
  new_row.scatter_(1, order, at::arange(left, order.options()).expand({groups, left}));
  new_row.scatter_(1, match.merged, joined);

  const at::Tensor from = flat_rows(order, count), going = flat_rows(match.merged, count);
  const at::Tensor into = flat_rows(joined, left);
  const at::Tensor old_sizes = state.sizes.flatten();
  const at::Tensor own_sizes = old_sizes.index_select(0, from);
  const at::Tensor joining_sizes = old_sizes.index_select(0, going);
  const at::Tensor sizes = own_sizes.index_add(0, into, joining_sizes);
  const at::Tensor rows = state.features.reshape({-1, width});
  const auto weighted = [&](const at::Tensor& which, const at::Tensor& weights) {
    return rows.index_select(0, which).to(at::kFloat).mul_(weights.unsqueeze(1));
  };
  const at::Tensor means = weighted(from, own_sizes)
                               .index_add_(0, into, weighted(going, joining_sizes))
                               .div_(sizes.unsqueeze(1));
  return {means.to(state.features.scalar_type()).view({groups, left, width}),
          sizes.view({groups, left}), state.positions.gather(1, order),
          new_row.gather(1, state.row_of)};
}

MergeState in_reading_order(const MergeState& state) {
  const at::Tensor order =
      at::argsort(state.positions, 1, /*descending=*/false);  // the old row of each new one
  const at::Tensor features =
      state.features.gather(1, order.unsqueeze(2).expand_as(state.features));
  return {features, state.sizes.gather(1, order), state.positions.gather(1, order),
          at::argsort(order, 1, /*descending=*/false).gather(1, state.row_of)};
}

}  // namespace lv::vision
