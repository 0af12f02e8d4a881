#include "vision/compressors/grouping.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"

namespace lv::vision {
namespace {

/// The tokens that are in their group's row, not only counted there.
struct Members {
  at::Tensor row_of;   // [m] int64
  at::Tensor weights;  // [m] float32, sizes
  at::Tensor counts;   // [count] int64, of each group
  at::Tensor first;    // [count] int64, of each group, by its place among all tokens
  int64_t count = 0;   // groups
};

at::Tensor sum_of(const at::Tensor& values, const Members& members) {
  std::vector<int64_t> shape = values.sizes().vec();
  shape[0] = members.count;
  return at::zeros(shape, values.options()).index_add(0, members.row_of, values);
}

/// [m, D] -> [count, D], weighted by size.
at::Tensor mean_of(const at::Tensor& values, const Members& members) {
  const at::Tensor weights = members.weights.to(values.scalar_type());
  return sum_of(values * weights.unsqueeze(1), members) / sum_of(weights, members).unsqueeze(1);
}

/// The largest (or smallest) of each group, column by column.
at::Tensor extreme_of(const at::Tensor& values, const Members& members, bool largest) {
  const at::Tensor index = members.row_of.unsqueeze(1).expand_as(values);
  return at::zeros({members.count, values.size(1)}, values.options())
      .scatter_reduce(0, index, values, largest ? "amax" : "amin", /*include_self=*/false);
}

TokenOrigin origin_of(const TokenOrigin& from, const TokenOrigin& all, const Members& members) {
  const at::Tensor mean_pts = mean_of(from.pts_seconds.unsqueeze(1), members).squeeze(1);
  // Pictures are told apart by source and time, tiles by row and column.
  const auto same = [&](const at::Tensor& values) {
    return (extreme_of(values, members, false) == extreme_of(values, members, true)).all(1);
  };
  const at::Tensor same_time = same(from.pts_seconds.unsqueeze(1));
  const at::Tensor one_tile = same_time & same(from.source.unsqueeze(1)) & same(from.tile);
  at::Tensor flags = at::where(members.counts == 1, 0, static_cast<int>(kMerged)).to(at::kByte);
  flags = flags.bitwise_or(at::where(one_tile, 0, static_cast<int>(kSpread)).to(at::kByte));
  for (const uint8_t bit : {kObserved, kMerged, kImputed, kSpread}) {
    flags = flags.bitwise_or(
        extreme_of(from.flags.bitwise_and(bit).unsqueeze(1), members, true).squeeze(1));
  }
  return {at::where(same_time, all.pts_seconds.index_select(0, members.first), mean_pts),
          all.source.index_select(0, members.first),
          at::cat({extreme_of(from.box.slice(1, 0, 2), members, false),
                   extreme_of(from.box.slice(1, 2, 4), members, true)},
                  1),
          flags, all.tile.index_select(0, members.first)};
}

/// Rows of each picture, by where they stand.
void keep_pictures(const VisualTokens& tokens, const at::Tensor& place, VisualTokens& out) {
  const auto pictures = static_cast<int64_t>(tokens.grids.size());
  const at::Tensor before = tokens.offsets.cpu().to(at::kLong).diff();
  const at::Tensor picture_of = at::arange(pictures, at::kLong).repeat_interleave(before, 0);
  const at::Tensor after =
      at::bincount(picture_of.index_select(0, place.cpu()), {}, pictures).to(at::kLong);
  out.offsets =
      at::cat({at::zeros({1}, at::kInt), after.cumsum(0).to(at::kInt)}).to(tokens.offsets.device());
  out.grids = tokens.grids;
  for (int64_t p = 0; p < pictures; ++p) {
    if (!before[p].equal(after[p])) out.grids[static_cast<size_t>(p)] = {};
  }
}

}  // namespace

VisualTokens grouped(const VisualTokens& tokens, const Grouping& grouping,
                     const at::Tensor& features) {
  const int64_t count = tokens.features.size(0);
  check_shape(grouping.row_of, "grouping.row_of", {count});
  const at::Tensor all = at::arange(count, grouping.row_of.options());
  const at::Tensor rows = grouping.dropped.defined()
                              ? at::nonzero(grouping.dropped.logical_not()).flatten()
                              : all;  // of the members
  const at::Tensor weights = tokens.sizes.defined()
                                 ? tokens.sizes
                                 : at::ones({count}, tokens.features.options().dtype(at::kFloat));
  Members members;
  members.count = grouping.count;
  members.row_of = grouping.row_of.index_select(0, rows);
  members.weights = weights.index_select(0, rows);
  members.counts = at::bincount(members.row_of, {}, grouping.count);
  members.first = extreme_of(rows.unsqueeze(1), members, false).squeeze(1);

  VisualTokens out;
  out.labels = tokens.labels;
  out.reports = tokens.reports;
  out.sizes = at::zeros({grouping.count}, weights.options()).index_add(0, grouping.row_of, weights);
  if (tokens.saliency.defined()) {
    out.saliency = sum_of(tokens.saliency.index_select(0, rows), members);
  }
  if (features.defined()) {
    out.features = features;
  } else {
    const at::Tensor own = tokens.features.index_select(0, members.first);
    const at::Tensor mean = mean_of(tokens.features.index_select(0, rows).to(at::kFloat), members);
    out.features = at::where((members.counts == 1).unsqueeze(1), own, mean.to(own.scalar_type()));
  }
  out.origin = origin_of(select(tokens.origin, rows), tokens.origin, members);
  keep_pictures(tokens, grouping.place.defined() ? grouping.place : members.first, out);
  return out;
}

double fidelity_of(const at::Tensor& features, const Grouping& grouping,
                   const at::Tensor& embeddings) {
  if (features.size(0) == 0) return 1;
  const at::Tensor stand_ins = embeddings.index_select(0, grouping.row_of);
  return at::cosine_similarity(features.to(at::kFloat), stand_ins.to(at::kFloat), 1)
      .mean()
      .item<double>();
}

VisualTokens reported(VisualTokens out, const char* method, double keep, const VisualTokens& tokens,
                      const Grouping& grouping, std::chrono::steady_clock::time_point begin) {
  const double fidelity = fidelity_of(tokens.features, grouping, out.features);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  out.reports.push_back(
      {method, keep, tokens.features.size(0), grouping.count, fidelity, took.count()});
  return out;
}

CentredGroups::CentredGroups(const at::Tensor& features, const at::Tensor& places,
                             const at::Tensor& group_of)
    : centres(features.index_select(0, places)),
      sums(at::zeros_like(centres).index_add(0, group_of, features)),
      counts(at::bincount(group_of, {}, places.size(0)).unsqueeze(1)) {}

at::Tensor CentredGroups::means() const { return at::where(counts == 1, centres, sums / counts); }

at::Tensor CentredGroups::means_of_others() const {
  return (sums - centres) / (counts - 1).clamp_min(1);
}

at::Tensor unit_rows(const at::Tensor& features) {
  const at::Tensor exact = features.to(at::kFloat);
  return exact / exact.norm(2, {exact.dim() - 1}, true).clamp_min(1e-30);
}

at::Tensor likest_of(const at::Tensor& going, const at::Tensor& staying) {
  return at::matmul(unit_rows(going), unit_rows(staying).t()).argmax(1);
}

}  // namespace lv::vision
