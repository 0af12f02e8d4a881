#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/films.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

/// Below and above all cosines, whatever is lost to rounding.
constexpr double kLeast = -1.01, kMost = 1.01;
constexpr int kHalvings = 12;  // of that span, to find a threshold

/// Squares of four cells, [F, h, w, D] -> [F, ceil(h / 2), 2, ceil(w / 2), 2, D]. Of an odd side
/// the first row or column has no partner: zeros stand in its place.
at::Tensor squares(const at::Tensor& cells) {
  const int64_t rows = cells.size(1), columns = cells.size(2);
  return at::constant_pad_nd(cells, {0, 0, columns % 2, 0, rows % 2, 0})
      .unflatten(2, {(columns + 1) / 2, 2})
      .unflatten(1, {(rows + 1) / 2, 2});
}

/// The square that each of `count` cells of a side is in: [count] int64.
at::Tensor square_of(const at::Tensor& cells, int64_t count) {
  return (cells + count % 2).floor_divide(2);
}

/// The cells of a film, and the squares, squares of squares and so on that they form: the nodes.
struct Pyramid {
  at::Tensor
      features;        // [nodes, D], level by level, cells first; of a square the mean of its parts
  at::Tensor unit;     // the same at length 1
  at::Tensor node_of;  // [levels, F, N] int64: of each cell
  at::Tensor alike;    // [levels, F, N]: the least cosine of that node to a part of it

  Pyramid(const at::Tensor& film, const PatchGrid& grid, int64_t root);
};

Pyramid::Pyramid(const at::Tensor& film, const PatchGrid& grid, int64_t root) {
  const auto whole = film.options().dtype(at::kLong);
  at::Tensor level = film.unflatten(1, {grid.rows, grid.columns});
  at::Tensor least = at::ones_like(level.select(3, 0));
  at::Tensor row = at::arange(level.size(1), whole), column = at::arange(level.size(2), whole);
  std::vector<at::Tensor> all, nodes, alikes;
  int64_t first = 0;
  while (true) {
    const int64_t rows = level.size(1), columns = level.size(2);
    const at::Tensor within = (row * columns).unsqueeze(1) + column;  // [grid.rows, grid.columns]
    const at::Tensor frame = at::arange(level.size(0), whole).view({-1, 1, 1}) * (rows * columns);
    all.push_back(level.flatten(0, 2));
    nodes.push_back((frame + within + first).flatten(1));
    alikes.push_back(
        least.flatten().index_select(0, (frame + within).flatten()).view(nodes.back().sizes()));
    if (std::max(rows, columns) <= root) break;
    first += level.size(0) * rows * columns;
    const at::Tensor parts = squares(level);
    const at::Tensor there = squares(at::ones_like(level.narrow(3, 0, 1)));
    level = parts.sum({2, 4}) / there.sum({2, 4});
    const at::Tensor cosine =
        (unit_rows(parts) * unit_rows(level).unsqueeze(2).unsqueeze(4)).sum(5);
    least = cosine.masked_fill(there.squeeze(5) == 0, kMost).amin({2, 4});
    row = square_of(row, rows);
    column = square_of(column, columns);
  }
  features = at::cat(all);
  unit = unit_rows(features);
  node_of = at::stack(nodes);
  alike = at::stack(alikes);
}

/// The groups that links (a, b) [m] join `count` things to: [count] int64, the lowest of each.
at::Tensor joined(const at::Tensor& a, const at::Tensor& b, int64_t count) {
  at::Tensor lowest = at::arange(count, a.options());
  while (true) {
    const at::Tensor of_a = lowest.index_select(0, a), of_b = lowest.index_select(0, b);
    if (at::equal(of_a, of_b)) return lowest;
    const at::Tensor both = at::minimum(of_a, of_b);
    // What stood for either now belongs to the lower of the two, and with it all that it stood for.
    lowest = lowest.scatter_reduce(0, of_a, both, "amin").scatter_reduce(0, of_b, both, "amin");
    for (at::Tensor next; !lowest.equal(next = lowest.index_select(0, lowest));) lowest = next;
  }
}

/// What the thresholds make of a film.
struct Merged {
  at::Tensor nodes;     // [n] that are left of the pyramid
  at::Tensor node_of;   // [F * N], among these
  at::Tensor group_of;  // [n] int64, what they form over time
  int64_t groups = 0;
};

Merged merge(const Pyramid& pyramid, double spatial, double temporal) {
  const int64_t levels = pyramid.node_of.size(0), frames = pyramid.node_of.size(1);
  at::Tensor node = pyramid.node_of[0];
  for (int64_t l = 1; l < levels; ++l) {
    node = at::where(pyramid.alike[l] >= spatial, pyramid.node_of[l], node);
  }
  Merged merged;
  std::tie(merged.nodes, merged.node_of) = at::_unique(node, true, /*return_inverse=*/true);
  const at::Tensor of_frame = merged.node_of.view_as(node);
  std::vector<at::Tensor> before, after;
  for (int64_t f = 1; f < frames; ++f) {
    check_cancelled();
    // Nodes of all frames are of one tree of places: two that share a cell lie one in the other.
    const auto unit = [&](int64_t frame) { return pyramid.unit.index_select(0, node[frame]); };
    const at::Tensor alike = at::nonzero((unit(f - 1) * unit(f)).sum(1) >= temporal).flatten();
    before.push_back(of_frame[f - 1].index_select(0, alike));
    after.push_back(of_frame[f].index_select(0, alike));
  }
  merged.node_of = merged.node_of.flatten();
  merged.group_of = at::arange(merged.nodes.size(0), merged.nodes.options());
  if (frames > 1) {
    merged.group_of = joined(at::cat(before), at::cat(after), merged.nodes.size(0));
  }
  at::Tensor groups;
  std::tie(groups, merged.group_of) = at::_unique(merged.group_of, true, true);
  merged.groups = groups.size(0);
  return merged;
}

/// Replaces each frame by the coarsest squares whose parts are like their mean, then joins squares
/// of consecutive frames that are alike where one lies in the other; a row is the mean of what it
/// joins, each square counted once.
///
/// With keep or tokens, which count over a film, the threshold of squares is the highest found that
/// leaves no more. Should all squares not do, or none be needed, so does `temporal`, which holds
/// otherwise, downwards or upwards. `spatial` says the threshold instead. `root`: the longer side
/// of the coarsest grid; above 1, more may be left than asked for.
/// Reference: Hyun et al., Multi-Granular Spatio-Temporal Token Merging for Training-Free
/// Acceleration of Video LLMs, ICCV 2025, sections 3.2 and 3.3. Differs: before the language model
/// instead of behind one of its layers; parts that an odd side lacks do not count (theirs are the
/// frame's first cell); all that is linked is joined (theirs stops early); their root is 2.
class Sttm : public TokenCompressor {
 public:
  explicit Sttm(Params& params)
      : budget_(params, "sttm"),
        fixed_(params.values().contains("spatial")),
        spatial_(params.get("spatial", 0.85)),
        temporal_(params.get("temporal", 0.65)),
        root_(params.get("root", 1)) {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "sttm.over: expected picture, got clip");
    check(std::abs(spatial_) <= 1 && std::abs(temporal_) <= 1, ErrorCode::kInvalidArgument,
          "sttm.spatial, sttm.temporal: expected -1 to 1");
    check(root_ >= 1, ErrorCode::kInvalidArgument,
          "sttm.root: expected at least 1, got " + std::to_string(root_));
    check(!fixed_ || !(params.values().contains("keep") || params.values().contains("tokens")),
          ErrorCode::kInvalidArgument, "sttm.spatial: expected none beside keep or tokens");
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    return reduce_films(tokens, "sttm", budget_.keep(tokens),
                        [this](const FilmTokens& all) { return film(all.features, all.grid); });
  }

 private:
  ReducedFilm film(const at::Tensor& features, const PatchGrid& grid) const {
    const int64_t frames = features.size(0), tokens = features.size(1);
    const int64_t budget = budget_.of(tokens);
    if (!fixed_ && budget == tokens) return whole_film(features);
    check(tokens == static_cast<int64_t>(grid.rows) * grid.columns, ErrorCode::kInvalidArgument,
          "sttm: expected one token a cell, got " + std::to_string(tokens));
    const Pyramid pyramid(features, grid, root_);
    const Merged merged =
        fixed_ ? merge(pyramid, spatial_, temporal_) : fitted(pyramid, budget * frames);

    const at::Tensor nodes = pyramid.features.index_select(0, merged.nodes);
    const at::Tensor sums = at::zeros({merged.groups, nodes.size(1)}, nodes.options())
                                .index_add(0, merged.group_of, nodes);
    const at::Tensor counts = at::bincount(merged.group_of, {}, merged.groups).unsqueeze(1);
    const at::Tensor all = at::arange(frames * tokens, merged.nodes.options());
    const at::Tensor row_of = merged.group_of.index_select(0, merged.node_of);
    const at::Tensor place =
        all.new_empty({merged.groups}).scatter_reduce(0, row_of, all, "amin", false);
    FilmRows rows(frames, tokens, features);
    rows.assign(all, row_of + rows.add(sums / counts, place));
    return rows.by_place();
  }

  /// With the thresholds that leave at most `budget` rows.
  Merged fitted(const Pyramid& pyramid, int64_t budget) const {
    Merged best;
    // The highest threshold found that leaves no more, from one that does to one that does not.
    const auto search = [&](double fits, double most, const auto& at_threshold) {
      for (int i = 0; i < kHalvings && best.groups < budget; ++i) {
        const double middle = (fits + most) / 2;
        Merged tried = at_threshold(middle);
        if (tried.groups <= budget) {
          fits = middle;
          best = std::move(tried);
        } else {
          most = middle;
        }
      }
      return best;
    };
    best = merge(pyramid, kMost, temporal_);
    if (best.groups <= budget) {
      return search(temporal_, kMost, [&](double t) { return merge(pyramid, kMost, t); });
    }
    best = merge(pyramid, kLeast, temporal_);
    if (best.groups <= budget) {
      return search(kLeast, kMost, [&](double t) { return merge(pyramid, t, temporal_); });
    }
    best = merge(pyramid, kLeast, kLeast);
    return search(kLeast, temporal_, [&](double t) { return merge(pyramid, kLeast, t); });
  }

  Budget budget_;
  bool fixed_;
  double spatial_, temporal_;
  int64_t root_;
};

}  // namespace

std::unique_ptr<Compressor> make_sttm(Params params) {
  auto made = std::make_unique<Sttm>(params);
  params.done("sttm");
  return made;
}

}  // namespace lv::vision
