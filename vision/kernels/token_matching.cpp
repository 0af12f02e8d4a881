#include "vision/kernels/token_matching.h"

#include <ATen/ATen.h>

#include <limits>

#include "pipeline/base/check_shape.h"
#include "pipeline/kernels/on_device.h"
#include "vision/kernels/launch.h"

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

/// The `merging` best pairs.
BipartiteMatch ranked(Likest likest, int64_t merging, bool class_token) {
  const int64_t groups = likest.score.size(0), pairs = likest.score.size(1);
  if (kernels_take(likest.score) && likest.index.is_contiguous() && pairs <= kMaxPairs) {
    const auto rows = [&](int64_t count) {
      return at::empty({groups, count}, likest.index.options());
    };
    BipartiteMatch match{rows(pairs - merging), rows(merging), rows(merging)};
    launch_rank_pairs(
        {likest.score.const_data_ptr<float>(), likest.index.const_data_ptr<int64_t>(), groups,
         pairs, merging, class_token, match.kept.mutable_data_ptr<int64_t>(),
         match.merged.mutable_data_ptr<int64_t>(), match.into.mutable_data_ptr<int64_t>()},
        current_stream(likest.score));
    return match;
  }
  if (class_token) likest.score.select(1, 0).fill_(-std::numeric_limits<float>::infinity());
  const at::Tensor order = at::argsort(likest.score, /*stable=*/true, 1, /*descending=*/true);
  const at::Tensor going = order.slice(1, 0, merging);
  at::Tensor staying = order.slice(1, merging);
  if (class_token) staying = std::get<0>(staying.sort(1));
  return {staying * 2, going * 2, likest.index.gather(1, going) * 2 + 1};
}

/// Of rows of length one, [B, t, D] float32.
BipartiteMatch match_units(const at::Tensor& unit, int64_t r, bool class_token) {
  const int64_t groups = unit.size(0), count = unit.size(1);
  const int64_t merging = std::min(r, (count - (class_token ? 1 : 0)) / 2);
  if (merging <= 0) {
    const at::Tensor even =
        at::arange(0, count, 2, unit.options().dtype(at::kLong)).expand({groups, (count + 1) / 2});
    return {even, even.slice(1, 0, 0), even.slice(1, 0, 0)};
  }
  return ranked(likest_rows(unit.slice(1, 0, count, 2), unit.slice(1, 1, count, 2)), merging,
                class_token);
}

}  // namespace

BipartiteMatch match_bipartite(const at::Tensor& metric, int64_t r, bool class_token) {
  check_shape(metric, "metric", {-1, -1, -1});
  const at::Tensor exact = metric.to(at::kFloat);
  return match_units(exact / exact.norm(2, {2}, true).clamp_min(1e-30), r, class_token);
}

BipartiteMatch match_keys(const at::Tensor& keys, int64_t r, bool class_token) {
  check_shape(keys, "keys", {-1, -1, -1, -1});
  const auto element = element_of(keys.scalar_type());
  const int64_t groups = keys.size(0), heads = keys.size(1), tokens = keys.size(2),
                width = keys.size(3);
  const bool fits = keys.stride(3) == 1 && width <= kMaxUnitMeanWidth;
  if (!has_cuda_kernels() || !keys.is_cuda() || !element || !fits) {
    return match_bipartite(keys.mean({1}, /*keepdim=*/false, at::kFloat), r, class_token);
  }
  const at::Tensor unit = at::empty({groups, tokens, width}, keys.options().dtype(at::kFloat));
  launch_unit_mean({keys.const_data_ptr(), keys.stride(0), keys.stride(1), keys.stride(2), *element,
                    groups, heads, tokens, width, unit.mutable_data_ptr<float>()},
                   current_stream(keys));
  return match_units(unit, r, class_token);
}

MergeState unmerged(const at::Tensor& features) {
  check_shape(features, "features", {-1, -1, -1});
  const int64_t groups = features.size(0), count = features.size(1);
  const at::Tensor places =
      at::arange(count, features.options().dtype(at::kLong)).repeat({groups, 1});
  return {features, at::ones({groups, count}, features.options().dtype(at::kFloat)), places,
          places};
}

MergeState merge(const MergeState& state, const BipartiteMatch& match, const at::Tensor& delta) {
  const int64_t merging = match.merged.size(1);
  const int64_t groups = state.sizes.size(0), tokens = state.sizes.size(1),
                width = state.features.size(2), places = state.row_of.size(1);
  const bool dense = state.sizes.is_contiguous() && state.positions.is_contiguous() &&
                     state.row_of.is_contiguous() && match.kept.is_contiguous() &&
                     match.merged.is_contiguous() && match.into.is_contiguous();
  const bool alike =
      !delta.defined() || (kernels_take(delta) && delta.sizes() == state.features.sizes() &&
                           delta.scalar_type() == state.features.scalar_type());
  if (merging == 0 || !kernels_take(state.features) || !dense || !alike || width % 8 != 0 ||
      tokens > kMaxTokens) {
    return merge_reference(state, match, delta);
  }
  const int64_t left = tokens - merging;
  MergeState out{at::empty({groups, left, width}, state.features.options()),
                 at::empty({groups, left}, state.sizes.options()),
                 at::empty({groups, left}, state.positions.options()),
                 at::empty_like(state.row_of)};
  launch_merge_rows(
      {state.features.const_data_ptr(), delta.defined() ? delta.const_data_ptr() : nullptr,
       state.sizes.const_data_ptr<float>(), state.positions.const_data_ptr<int64_t>(),
       state.row_of.const_data_ptr<int64_t>(), match.kept.const_data_ptr<int64_t>(),
       match.merged.const_data_ptr<int64_t>(), match.into.const_data_ptr<int64_t>(),
       *element_of(state.features.scalar_type()), groups, tokens, width, places, match.kept.size(1),
       merging, out.features.mutable_data_ptr(), out.sizes.mutable_data_ptr<float>(),
       out.positions.mutable_data_ptr<int64_t>(), out.row_of.mutable_data_ptr<int64_t>()},
      current_stream(state.features));
  return out;
}

MergeState merge_reference(MergeState state, const BipartiteMatch& match, const at::Tensor& delta) {
  if (delta.defined()) state.features = state.features + delta;
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
