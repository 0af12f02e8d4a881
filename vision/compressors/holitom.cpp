#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/dpc_knn.h"
#include "vision/compressors/film_parts.h"
#include "vision/compressors/films.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

int64_t up(double x) { return static_cast<int64_t>(std::ceil(x - 1e-9)); }
int64_t half_to_even(double x) { return static_cast<int64_t>(std::nearbyint(x)); }

/// Cuts films into the windows in which most places hold still. What holds still becomes one set of
/// tokens a window, which is clustered; of the rest each frame keeps what the encoder attended to.
/// The share of both is raised by what the windows saved.
///
/// A window's still tokens come first, then those of its frames. Tokens that nothing is left of
/// count in the size of their frame's likest. Ties take the lower index.
/// Reference: Shao et al., HoliTom: Holistic Token Merging for Fast Video Large Language Models,
/// NeurIPS 2025. Differs: nothing is merged within the language model; without the encoder's
/// attention what moves is clustered, too (their D = 1); something is left of every still set.
class Holitom : public TokenCompressor {
 public:
  explicit Holitom(Params& params)
      : budget_(params, "holitom"),
        tau_(params.get("tau", 0.0)),
        beta_(params.get("beta", 0.6)),
        neighbours_(params.get("neighbours", 7)),
        clustered_(params.get("clustered", -1.0)),
        longest_(params.get("longest", 1024)),
        average_(params.get("average", "beta")) {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "holitom.over: expected picture, got clip");
    check(tau_ >= 0 && tau_ < 1, ErrorCode::kInvalidArgument,
          "holitom.tau: expected more than 0, below 1, got " + std::to_string(tau_));
    check(beta_ >= 0 && beta_ <= 1, ErrorCode::kInvalidArgument,
          "holitom.beta: expected 0 to 1, got " + std::to_string(beta_));
    check(neighbours_ >= 1 && longest_ >= 1, ErrorCode::kInvalidArgument,
          "holitom.neighbours, holitom.longest: expected at least 1");
    check(!params.values().contains("clustered") || (clustered_ >= 0 && clustered_ <= 1),
          ErrorCode::kInvalidArgument,
          "holitom.clustered: expected 0 to 1, got " + std::to_string(clustered_));
    check(average_ == "beta" || average_ == "mean", ErrorCode::kInvalidArgument,
          "holitom.average: expected beta or mean, got " + average_);
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    check(tokens.saliency.defined() || clustered_ < 0 || clustered_ == 1,
          ErrorCode::kFailedPrecondition,
          "holitom.clustered: expected 1, as this encoder tells no attention, got " +
              std::to_string(clustered_));
    return reduce_films(tokens, "holitom", budget_.keep(tokens),
                        [this](const FilmTokens& all) { return film(all.features, all.saliency); });
  }

 private:
  /// features: [F, N, D], saliency: [F, N] or undefined.
  ReducedFilm film(const at::Tensor& features, const at::Tensor& saliency) const {
    const int64_t frames = features.size(0), tokens = features.size(1);
    const double share = budget_.share_of(tokens);
    if (share >= 1) return whole_film(features);
    // Theirs for a tenth, and for more.
    const double tau = tau_ > 0 ? tau_ : share <= 0.1 ? 0.65 : 0.8;
    const at::Tensor unit = unit_rows(features);
    const at::Tensor alike =
        (unit.slice(0, 0, frames - 1) * unit.slice(0, 1)).sum(2) > tau;  // [F - 1, N]
    const StillWindows still = still_windows(alike, longest_);
    const auto all = static_cast<double>(frames * tokens);
    const double raised = std::min(1.0, share / ((all - static_cast<double>(still.saved)) / all));
    FilmRows rows(frames, tokens, features);
    for (const auto& [first, last] : still.windows) {
      check_cancelled();
      at::Tensor still_places = at::empty({0}, features.options().dtype(at::kLong));
      at::Tensor moving_places = at::arange(tokens, still_places.options());
      if (last - first > 1) {
        const at::Tensor throughout = alike.slice(0, first, last - 1).all(0);
        still_places = at::nonzero(throughout).flatten();
        moving_places = at::nonzero(throughout.logical_not()).flatten();
        if (still_places.size(0) > 0) {
          add_still(features, {first, last}, still_places, raised, rows);
        }
      }
      if (moving_places.size(0) == 0) continue;
      for (int64_t f = first; f < last; ++f) {
        add_moving(features[f].index_select(0, moving_places),
                   saliency.defined() ? saliency[f].index_select(0, moving_places) : saliency,
                   moving_places + f * tokens, raised, rows);
      }
    }
    return rows.in_order();
  }

  void add_still(const at::Tensor& features, const FrameRange& window, const at::Tensor& places,
                 double share, FilmRows& rows) const {
    const int64_t tokens = features.size(1);
    const at::Tensor means =
        features.slice(0, window.first, window.last).index_select(1, places).mean(0);
    const int64_t wanted = half_to_even(static_cast<double>(places.size(0)) * share);
    const Clusters clusters = clustered(means, wanted);
    const int64_t first =
        rows.add(centre_rows(means, clusters),
                 places.index_select(0, clusters.centres) + window.first * tokens);
    for (int64_t f = window.first; f < window.last; ++f) {
      rows.assign(places + f * tokens, clusters.cluster_of + first);
    }
  }

  /// Of one frame: features [n, D], saliency [n] or undefined, numbers in the film [n].
  void add_moving(const at::Tensor& features, const at::Tensor& saliency, const at::Tensor& numbers,
                  double share, FilmRows& rows) const {
    const int64_t count = features.size(0);
    const int64_t wanted = std::min(count, up(static_cast<double>(count) * share));
    const double by_cluster = clustered_ >= 0 ? clustered_ : saliency.defined() ? 0 : 1;
    const int64_t salient = half_to_even(static_cast<double>(wanted) * (1 - by_cluster));
    at::Tensor kept = at::empty({0}, numbers.options());
    at::Tensor rest = at::arange(count, numbers.options());
    if (salient > 0) {
      const at::Tensor order = at::argsort(saliency, /*stable=*/true, 0, /*descending=*/true);
      kept = std::get<0>(order.slice(0, 0, salient).sort());
      rest = std::get<0>(order.slice(0, salient).sort());
    }
    const at::Tensor salient_features = features.index_select(0, kept);
    if (wanted == salient) {
      const int64_t first = rows.add(salient_features, numbers.index_select(0, kept));
      const at::Tensor left = features.index_select(0, rest);
      rows.drop(numbers.index_select(0, rest), likest_of(left, salient_features) + first);
      rows.assign(numbers.index_select(0, kept),
                  at::arange(first, first + salient, numbers.options()));
      return;
    }
    const at::Tensor left = features.index_select(0, rest);
    const Clusters clusters = clustered(left, wanted - salient);
    // In the order of the places that the rows stand at.
    const at::Tensor place = at::cat({kept, rest.index_select(0, clusters.centres)});
    const at::Tensor order = place.argsort(), rank = order.argsort();
    const at::Tensor values = at::cat({salient_features, centre_rows(left, clusters)});
    const int64_t first = rows.add(values.index_select(0, order),
                                   numbers.index_select(0, place.index_select(0, order)));
    rows.assign(numbers.index_select(0, kept), rank.slice(0, 0, salient) + first);
    rows.assign(numbers.index_select(0, rest),
                rank.slice(0, salient).index_select(0, clusters.cluster_of) + first);
  }

  Clusters clustered(const at::Tensor& features, int64_t wanted) const {
    const int64_t count = std::max<int64_t>(1, wanted);
    return dpc_knn(features, count, std::min(neighbours_, count));
  }

  /// [k, D] that stand for the clusters: beta parts of the centre, the rest the mean of the others,
  /// or the mean of all.
  at::Tensor centre_rows(const at::Tensor& features, const Clusters& clusters) const {
    const CentredGroups groups(features, clusters.centres, clusters.cluster_of);
    if (average_ == "mean") return groups.means();
    return at::where(groups.counts == 1, groups.centres,
                     beta_ * groups.centres + (1 - beta_) * groups.means_of_others());
  }

  Budget budget_;
  double tau_, beta_;
  int64_t neighbours_;
  double clustered_;
  int64_t longest_;
  std::string average_;
};

}  // namespace

std::unique_ptr<Compressor> make_holitom(Params params) {
  auto made = std::make_unique<Holitom>(params);
  params.done("holitom");
  return made;
}

}  // namespace lv::vision
