#include "vision/compressors/token_matching.h"

#include <ATen/ATen.h>

#include <limits>

#include "pipeline/base/check_shape.h"

namespace lv::vision {
namespace {

constexpr int64_t kScoresAtOnce = 1 << 24;  // bounds the memory that a match takes

struct Likest {
  at::Tensor score;  // [a] float32
  at::Tensor index;  // [a] int64, a row of b
};

/// For each row of a the row of b with the largest dot product. The table of scores is never whole.
Likest likest_rows(const at::Tensor& a, const at::Tensor& b) {
  const int64_t rows = std::max<int64_t>(1, kScoresAtOnce / std::max<int64_t>(1, b.size(0)));
  std::vector<at::Tensor> scores, indices;
  for (const at::Tensor& part : a.split(rows)) {
    auto [score, index] = at::matmul(part, b.t()).max(1);
    scores.push_back(score);
    indices.push_back(index);
  }
  return {at::cat(scores), at::cat(indices)};
}

}  // namespace

BipartiteMatch match_bipartite(const at::Tensor& metric, int64_t r, bool class_token) {
  check_shape(metric, "metric", {-1, -1});
  const int64_t count = metric.size(0);
  const at::Tensor all = at::arange(count, metric.options().dtype(at::kLong));
  const at::Tensor even = all.slice(0, 0, count, 2);
  const int64_t merging = std::min(r, (count - (class_token ? 1 : 0)) / 2);
  if (merging <= 0) return {even, even.slice(0, 0, 0), even.slice(0, 0, 0)};

  const at::Tensor exact = metric.to(at::kFloat);
  const at::Tensor unit = exact / exact.norm(2, {1}, true).clamp_min(1e-30);
  Likest likest = likest_rows(unit.slice(0, 0, count, 2), unit.slice(0, 1, count, 2));
  if (class_token) likest.score[0].fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor order = at::argsort(likest.score, /*stable=*/true, 0, /*descending=*/true);
  const at::Tensor going = order.slice(0, 0, merging);
  at::Tensor staying = order.slice(0, merging);
  if (class_token) staying = std::get<0>(staying.sort());
  return {staying * 2, going * 2, likest.index.index_select(0, going) * 2 + 1};
}

MergeState unmerged(const at::Tensor& features) {
  const at::Tensor places = at::arange(features.size(0), features.options().dtype(at::kLong));
  return {features.to(at::kFloat),
          at::ones({features.size(0)}, features.options().dtype(at::kFloat)), places, places};
}

MergeState merge(const MergeState& state, const BipartiteMatch& match) {
  if (match.merged.size(0) == 0) return state;
  const int64_t count = state.sizes.size(0), kept = match.kept.size(0);
  const at::Tensor odd = at::arange(1, count, 2, state.positions.options());
  const at::Tensor order = at::cat({match.kept, odd});  // the old row of each new one
  at::Tensor new_row = at::empty({count}, state.positions.options());
  new_row.index_copy_(0, order, at::arange(order.size(0), order.options()));
  const at::Tensor target = (match.into - 1).floor_divide(2) + kept;
  new_row.index_copy_(0, match.merged, target);

  const at::Tensor joining_sizes = state.sizes.index_select(0, match.merged);
  const at::Tensor own_sizes = state.sizes.index_select(0, order);
  MergeState next;
  next.sizes = own_sizes.index_add(0, target, joining_sizes);
  const at::Tensor joining =
      state.features.index_select(0, match.merged) * joining_sizes.unsqueeze(1);
  next.features = (state.features.index_select(0, order) * own_sizes.unsqueeze(1))
                      .index_add(0, target, joining) /
                  next.sizes.unsqueeze(1);
  next.positions = state.positions.index_select(0, order);
  next.row_of = new_row.index_select(0, state.row_of);
  return next;
}

}  // namespace lv::vision
