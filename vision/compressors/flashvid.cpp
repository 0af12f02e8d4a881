#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/diverse_rows.h"
#include "vision/compressors/dpc_knn.h"
#include "vision/compressors/film_parts.h"
#include "vision/compressors/films.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

constexpr int64_t kNeighbours = 7;
constexpr float kUnlike = -1;  // cosine of what may not be joined

/// Rows of a segment's tokens, frame after frame, that stay, and what joined them.
struct Trees {
  at::Tensor root_of;  // [F * N] int64
  at::Tensor means;    // [F * N, D], of those whose root is the row
};

/// Cuts films into segments of alike frames. Of each frame some tokens that are unlike one another,
/// and that the encoder attended to, stay as they are; the others join their likest of the frame
/// before, in trees, and what is left of each frame is clustered until the budget is reached.
///
/// Of N tokens of a frame ceil(ceil(keep N) alpha) are picked; all in all a segment keeps at most
/// ceil(keep N) tokens a frame, and less than one more for each frame. Ties take the lower index.
/// Reference: Fan et al., FlashVID: Efficient Video Large Language Models via Training-free
/// Tree-based Spatiotemporal Token Merging, ICLR 2026. Differs: nothing is pruned within the
/// language model, so `expansion`, which makes up for that, is 1 (theirs 1.25); means count every
/// token of a tree (tree_average=reference divides by the root and its direct children only, as
/// their code does); a segment of one frame merges no token that was picked.
class Flashvid : public TokenCompressor {
 public:
  explicit Flashvid(Params& params)
      : budget_(params, "flashvid"),
        expansion_(params.get("expansion", 1.0)),
        alpha_(params.get("alpha", 0.7)),
        segment_threshold_(params.get("segment_threshold", 0.9)),
        min_segments_(params.get("min_segments", 8)),
        temporal_threshold_(params.get("temporal_threshold", 0.8)),
        select_(params.get("select", "")),
        average_(params.get("tree_average", "exact")) {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "flashvid.over: expected picture, got clip");
    check(expansion_ >= 1, ErrorCode::kInvalidArgument,
          "flashvid.expansion: expected 1 or more, got " + std::to_string(expansion_));
    check(alpha_ >= 0 && alpha_ <= 1, ErrorCode::kInvalidArgument,
          "flashvid.alpha: expected 0 to 1, got " + std::to_string(alpha_));
    check(std::abs(segment_threshold_) <= 1 && std::abs(temporal_threshold_) <= 1,
          ErrorCode::kInvalidArgument,
          "flashvid.segment_threshold, flashvid.temporal_threshold: expected -1 to 1");
    check(min_segments_ >= 1, ErrorCode::kInvalidArgument,
          "flashvid.min_segments: expected at least 1, got " + std::to_string(min_segments_));
    check(select_.empty() || select_ == "adts" || select_ == "adts_v2" || select_ == "attention" ||
              select_ == "diversity",
          ErrorCode::kInvalidArgument,
          "flashvid.select: expected adts, adts_v2, attention or diversity, got " + select_);
    check(average_ == "exact" || average_ == "reference", ErrorCode::kInvalidArgument,
          "flashvid.tree_average: expected exact or reference, got " + average_);
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    check(
        select_.empty() || select_ == "diversity" || tokens.saliency.defined(),
        ErrorCode::kFailedPrecondition,
        "flashvid.select: expected diversity, as this encoder tells no attention, got " + select_);
    return reduce_films(tokens, "flashvid", budget_.keep(tokens),
                        [this](const FilmTokens& all) { return film(all.features, all.saliency); });
  }

 private:
  /// features: [F, N, D], saliency: [F, N] or undefined.
  ReducedFilm film(const at::Tensor& features, const at::Tensor& saliency) const {
    const int64_t frames = features.size(0), tokens = features.size(1);
    const int64_t budget = budget_.up_of(tokens, expansion_);
    if (budget == tokens) return whole_film(features);
    const auto picks = std::min<int64_t>(
        budget, static_cast<int64_t>(std::ceil(static_cast<double>(budget) * alpha_ - 1e-9)));
    FilmRows rows(frames, tokens, features);
    for (const auto& [first, last] :
         segments_of(features.mean(1), segment_threshold_, min_segments_)) {
      const at::Tensor part = features.slice(0, first, last);
      const at::Tensor picked =
          picked_of(part, saliency.defined() ? saliency.slice(0, first, last) : saliency, picks);
      add_segment(part, picked, budget, first * tokens, rows);
    }
    return rows.by_place();
  }

  /// [F, picks] tokens of each frame that stay as they are.
  at::Tensor picked_of(const at::Tensor& features, const at::Tensor& saliency,
                       int64_t picks) const {
    if (picks == 0) {
      return at::empty({features.size(0), 0}, features.options().dtype(at::kLong));
    }
    if (select_ == "attention") {
      const at::Tensor order = at::argsort(saliency, /*stable=*/true, 1, /*descending=*/true);
      return std::get<0>(order.slice(1, 0, picks).sort(1));
    }
    if (select_ == "diversity" || !saliency.defined()) return diverse_rows(features, {}, picks);
    if (select_ != "adts_v2") return diverse_rows(features, saliency, picks);
    // How much each token has in common with the frames of its segment.
    const at::Tensor relevance = at::matmul(features, features.mean(1).t()).mean(2);
    return diverse_rows(features, saliency * relevance, picks);
  }

  /// Adds the rows of a segment whose first token is number `begin` of the film.
  void add_segment(const at::Tensor& features, const at::Tensor& picked, int64_t budget,
                   int64_t begin, FilmRows& rows) const {
    const int64_t frames = features.size(0), tokens = features.size(1), picks = picked.size(1);
    const at::Tensor flat = features.flatten(0, 1);
    const at::Tensor all = at::arange(frames * tokens, picked.options());
    const at::Tensor chosen =
        at::zeros({frames, tokens}, features.options().dtype(at::kBool)).scatter(1, picked, true);
    const at::Tensor kept = at::nonzero(chosen.flatten()).flatten();
    at::Tensor row_of = at::zeros_like(all);  // of the segment's tokens
    const int64_t first = rows.add(flat.index_select(0, kept), kept + begin);
    const at::Tensor kept_rows = at::arange(first, first + kept.size(0), all.options());
    row_of.index_copy_(0, kept, kept_rows);

    const int64_t others = (budget - picks) * frames;
    if (others == 0) {
      drop_unpicked(features, picked, begin, kept_rows, rows);
      rows.assign(kept + begin, kept_rows);
      return;
    }
    const Trees trees = grown(features, chosen, budget * frames);
    const at::Tensor is_root = (trees.root_of == all).logical_and(chosen.logical_not().flatten());
    const double share =
        static_cast<double>(others) / static_cast<double>(is_root.sum().item<int64_t>());
    for (int64_t f = 0; f < frames; ++f) {
      check_cancelled();
      const at::Tensor roots =
          at::nonzero(is_root.slice(0, f * tokens, (f + 1) * tokens)).flatten() + f * tokens;
      if (roots.size(0) > 0) add_clusters(trees.means, roots, share, begin, row_of, rows);
    }
    rows.assign(all + begin, row_of.index_select(0, trees.root_of));
  }

  /// Joins a frame's roots to so many clusters that the share of them is left.
  static void add_clusters(const at::Tensor& means, const at::Tensor& roots, double share,
                           int64_t begin, at::Tensor& row_of, FilmRows& rows) {
    const at::Tensor features = means.index_select(0, roots);
    const auto count = static_cast<int64_t>(std::ceil(static_cast<double>(roots.size(0)) * share));
    if (count >= roots.size(0)) {
      const int64_t first = rows.add(features, roots + begin);
      row_of.index_copy_(0, roots, at::arange(first, first + roots.size(0), roots.options()));
      return;
    }
    const Clusters clusters = dpc_knn(features, count, std::min(count, kNeighbours));
    const CentredGroups groups(features, clusters.centres, clusters.cluster_of);
    const int64_t first = rows.add(groups.means(), roots.index_select(0, clusters.centres) + begin);
    row_of.index_copy_(0, roots, clusters.cluster_of + first);
  }

  /// Links tokens to their likest of the frame before, so many that `least` stay.
  Trees grown(const at::Tensor& features, const at::Tensor& chosen, int64_t least) const {
    const int64_t frames = features.size(0), tokens = features.size(1);
    const at::Tensor unit = unit_rows(features);
    at::Tensor best = at::full({frames, tokens}, kUnlike, unit.options());
    at::Tensor parent = at::arange(frames * tokens, unit.options().dtype(at::kLong))
                            .view({frames, tokens});  // itself where there is none
    const at::Tensor itself = parent.clone();
    for (int64_t f = 1; f < frames; ++f) {
      check_cancelled();
      const at::Tensor cosine = at::matmul(unit[f], unit[f - 1].t())
                                    .masked_fill(chosen[f].unsqueeze(1), kUnlike)
                                    .masked_fill(chosen[f - 1].unsqueeze(0), kUnlike);
      const auto [score, index] = cosine.max(1);
      best[f].copy_(score);
      parent[f].copy_(index + (f - 1) * tokens);
    }
    at::Tensor linked = best > temporal_threshold_;
    if (linked.numel() - linked.sum().item<int64_t>() < least) {
      const at::Tensor likest = std::get<0>(best.flatten().topk(linked.numel() - least));
      linked = best > likest.amin().clamp_min(kUnlike + 1e-6);
    }
    parent = at::where(linked, parent, itself);

    at::Tensor root_of = parent.clone();
    for (int64_t f = 1; f < frames; ++f) {
      root_of[f].copy_(root_of.flatten().index_select(0, parent[f]));
    }
    root_of = root_of.flatten();
    const at::Tensor flat = features.flatten(0, 1);
    const at::Tensor counted =
        average_ == "exact" ? root_of : parent.flatten();  // which rows each token counts in
    const at::Tensor counts = at::bincount(counted, {}, counted.size(0)).clamp_min(1).unsqueeze(1);
    const at::Tensor sums = at::zeros_like(flat).index_add(0, root_of, flat);
    return {root_of, sums / counts};
  }

  /// Where nothing is merged, the likest that was picked stands for the others.
  static void drop_unpicked(const at::Tensor& features, const at::Tensor& picked, int64_t begin,
                            const at::Tensor& kept_rows, FilmRows& rows) {
    const int64_t frames = features.size(0), tokens = features.size(1), picks = picked.size(1);
    const at::Tensor all = at::arange(tokens, picked.options());
    for (int64_t f = 0; f < frames; ++f) {
      const at::Tensor stand_in =
          likest_of(features[f], features[f].index_select(0, picked[f])) + f * picks;
      rows.drop(all + (begin + f * tokens), kept_rows.index_select(0, stand_in));
    }
  }

  Budget budget_;
  double expansion_, alpha_, segment_threshold_;
  int64_t min_segments_;
  double temporal_threshold_;
  std::string select_, average_;
};

}  // namespace

std::unique_ptr<Compressor> make_flashvid(Params params) {
  auto made = std::make_unique<Flashvid>(params);
  params.done("flashvid");
  return made;
}

}  // namespace lv::vision
