#include "vision/compressors/grouping.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"

namespace lv::vision {
namespace {

at::Tensor mean_of(const at::Tensor& values, const Grouping& grouping, const at::Tensor& sizes) {
  const at::Tensor sum = at::zeros({grouping.count, values.size(1)}, values.options())
                             .index_add(0, grouping.row_of, values);
  return sum / sizes.unsqueeze(1).to(values.scalar_type());
}

/// The largest (or smallest) of each group, column by column.
at::Tensor extreme_of(const at::Tensor& values, const Grouping& grouping, bool largest) {
  const at::Tensor index = grouping.row_of.unsqueeze(1).expand_as(values);
  return at::zeros({grouping.count, values.size(1)}, values.options())
      .scatter_reduce(0, index, values, largest ? "amax" : "amin", /*include_self=*/false);
}

TokenOrigin origin_of(const TokenOrigin& from, const Grouping& grouping, const at::Tensor& sizes) {
  const int64_t tokens = grouping.row_of.size(0);
  // The first token of each group, by its place among all tokens.
  const at::Tensor first =
      extreme_of(at::arange(tokens, grouping.row_of.options()).unsqueeze(1), grouping, false)
          .squeeze(1);
  const at::Tensor mean_pts = mean_of(from.pts_seconds.unsqueeze(1), grouping, sizes).squeeze(1);
  // Pictures are told apart by source and time, tiles by row and column.
  const auto same = [&](const at::Tensor& values) {
    return (extreme_of(values, grouping, false) == extreme_of(values, grouping, true)).all(1);
  };
  const at::Tensor same_time = same(from.pts_seconds.unsqueeze(1));
  const at::Tensor one_tile = same_time & same(from.source.unsqueeze(1)) & same(from.tile);
  at::Tensor flags = at::where(sizes == 1, 0, static_cast<int>(kMerged)).to(at::kByte);
  flags = flags.bitwise_or(at::where(one_tile, 0, static_cast<int>(kSpread)).to(at::kByte));
  for (const uint8_t bit : {kObserved, kMerged, kImputed, kSpread}) {
    flags = flags.bitwise_or(
        extreme_of(from.flags.bitwise_and(bit).unsqueeze(1), grouping, true).squeeze(1));
  }
  return {at::where(same_time, from.pts_seconds.index_select(0, first), mean_pts),
          from.source.index_select(0, first),
          at::cat({extreme_of(from.box.slice(1, 0, 2), grouping, false),
                   extreme_of(from.box.slice(1, 2, 4), grouping, true)},
                  1),
          flags, from.tile.index_select(0, first)};
}

}  // namespace

CompressedTokens grouped(const VisualTokens& tokens, const Grouping& grouping,
                         const at::Tensor& features) {
  check_shape(grouping.row_of, "grouping.row_of", {tokens.features.size(0)});
  CompressedTokens out;
  out.sizes = at::bincount(grouping.row_of, {}, grouping.count).to(at::kFloat);
  out.embeddings = features.defined() ? features
                                      : mean_of(tokens.features.to(at::kFloat), grouping, out.sizes)
                                            .to(tokens.features.scalar_type());
  out.origin = origin_of(tokens.origin, grouping, out.sizes);
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

CompressedTokens reported(CompressedTokens out, const char* method, double keep,
                          const VisualTokens& tokens, const Grouping& grouping,
                          std::chrono::steady_clock::time_point begin) {
  const double fidelity = fidelity_of(tokens.features, grouping, out.embeddings);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  out.reports.push_back(
      {method, keep, tokens.features.size(0), grouping.count, fidelity, took.count()});
  return out;
}

}  // namespace lv::vision
