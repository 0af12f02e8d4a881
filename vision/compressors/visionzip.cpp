#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/films.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

/// Keeps each picture's tokens that the encoder attended to most; of the others some at even
/// distances stand for what is around them, each as the sum of itself and of the mean of those that
/// are likest to it.
///
/// Of b tokens to keep, the share `contextual` is of the second kind. Ties take the lower index.
/// Reference: Yang et al., VisionZip: Longer is Better but Not Necessary in Vision Language Models,
/// CVPR 2025, section 3.2. Differs: on finished tokens, which are compared by themselves instead of
/// by the encoder's keys; no class token is kept; reading order.
class Visionzip : public TokenCompressor {
 public:
  explicit Visionzip(Params& params)
      : budget_(params, "visionzip"),
        contextual_(params.get("contextual", 10.0 / 64)),
        average_(params.get("average", "sum")) {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "visionzip.over: expected picture, got clip");
    check(contextual_ >= 0 && contextual_ <= 1, ErrorCode::kInvalidArgument,
          "visionzip.contextual: expected 0 to 1, got " + std::to_string(contextual_));
    check(average_ == "sum" || average_ == "mean", ErrorCode::kInvalidArgument,
          "visionzip.average: expected sum or mean, got " + average_);
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    check(tokens.saliency.defined() || budget_.keep(tokens) == 1 || tokens.features.size(0) == 0,
          ErrorCode::kFailedPrecondition,
          "visionzip: expected tokens of an encoder that tells what it attends to");
    return reduce_films(tokens, "visionzip", budget_.keep(tokens), [this](const FilmTokens& film) {
      const auto& [features, saliency, grid] = film;
      const int64_t budget = budget_.of(features.size(1));
      if (budget == features.size(1)) return whole_film(features);
      FilmRows rows(features.size(0), features.size(1), features);
      for (int64_t f = 0; f < features.size(0); ++f) {
        add_picture(features[f], saliency[f], budget, f * features.size(1), rows);
      }
      return rows.by_place();
    });
  }

 private:
  /// features [N, D], saliency [N]; the picture's tokens are numbered from `begin`.
  void add_picture(const at::Tensor& features, const at::Tensor& saliency, int64_t budget,
                   int64_t begin, FilmRows& rows) const {
    const auto contextual =
        std::min<int64_t>(budget, std::llround(static_cast<double>(budget) * contextual_));
    const int64_t dominant = budget - contextual;
    const at::Tensor order = at::argsort(saliency, /*stable=*/true, 0, /*descending=*/true);
    const at::Tensor kept = std::get<0>(order.slice(0, 0, dominant).sort());
    const at::Tensor rest = std::get<0>(order.slice(0, dominant).sort());
    const at::Tensor kept_features = features.index_select(0, kept);
    const at::Tensor rest_features = features.index_select(0, rest);
    const int64_t first = rows.add(kept_features, kept + begin);
    if (contextual == 0) {
      rows.drop(rest + begin, likest_of(rest_features, kept_features) + first);
    } else {
      const int64_t step = rest.size(0) / contextual;
      const at::Tensor targets = at::arange(contextual, rest.options()) * step;
      at::Tensor target_of = likest_of(rest_features, rest_features.index_select(0, targets));
      target_of.index_copy_(0, targets, at::arange(contextual, rest.options()));
      const int64_t first_context = rows.add(around(rest_features, targets, target_of),
                                             rest.index_select(0, targets) + begin);
      rows.assign(rest + begin, target_of + first_context);
    }
    rows.assign(kept + begin, at::arange(first, first + dominant, kept.options()));
  }

  /// [k, D]: each target and the mean of the others that joined it.
  at::Tensor around(const at::Tensor& features, const at::Tensor& targets,
                    const at::Tensor& target_of) const {
    const CentredGroups groups(features, targets, target_of);
    return average_ == "mean" ? groups.means() : groups.centres + groups.means_of_others();
  }

  Budget budget_;
  double contextual_;
  std::string average_;
};

}  // namespace

std::unique_ptr<Compressor> make_visionzip(Params params) {
  auto made = std::make_unique<Visionzip>(params);
  params.done("visionzip");
  return made;
}

}  // namespace lv::vision
