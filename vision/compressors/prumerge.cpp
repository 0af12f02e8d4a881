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

/// How many of `saliency` [N] are outliers: above the third quartile by more than one and a half
/// times the distance of the quartiles, which lie between two values where they fall between.
int64_t outliers(const at::Tensor& saliency) {
  const at::Tensor quartiles =
      at::quantile(saliency, at::tensor({0.25, 0.75}, saliency.options())).cpu().to(at::kDouble);
  const double low = quartiles[0].item<double>(), high = quartiles[1].item<double>();
  return (saliency > high + 1.5 * (high - low)).sum().item<int64_t>();
}

/// Keeps each picture's tokens that the encoder attended to most and adds to each those likest to
/// it, by how much they were attended to; one token more is the sum of all that went, likewise.
///
/// select=top keeps as many as keep or tokens say, the one more included; outliers keeps those
/// whose attention stands out, and spread others at even distances beside them, whatever keep says.
/// A kept token counts itself alone in its size, the one more stands where the last one went.
/// Reference: Shang et al., LLaVA-PruMerge: Adaptive Token Reduction for Efficient Large Multimodal
/// Models, ICCV 2025, sections 3.2 to 3.4. Differs: on finished tokens, which are compared by
/// themselves instead of by the encoder's keys; reading order.
class Prumerge : public TokenCompressor {
 public:
  explicit Prumerge(Params& params)
      : budget_(params, "prumerge"),
        select_(params.get("select", "top")),
        neighbours_(params.get("neighbours", 32)) {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "prumerge.over: expected picture, got clip");
    check(select_ == "top" || select_ == "outliers" || select_ == "spread",
          ErrorCode::kInvalidArgument,
          "prumerge.select: expected top, outliers or spread, got " + select_);
    check(neighbours_ >= 0, ErrorCode::kInvalidArgument,
          "prumerge.neighbours: expected 0 or more, got " + std::to_string(neighbours_));
    const auto& values = params.values();
    check(select_ == "top" || !(values.contains("keep") || values.contains("tokens")),
          ErrorCode::kInvalidArgument,
          "prumerge.select: expected top beside keep or tokens, got " + select_);
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    const bool whole = select_ == "top" && budget_.keep(tokens) == 1;
    check(tokens.saliency.defined() || whole || tokens.features.size(0) == 0,
          ErrorCode::kFailedPrecondition,
          "prumerge: expected tokens of an encoder that tells what it attends to");
    return reduce_films(tokens, "prumerge", budget_.keep(tokens), [this](const FilmTokens& film) {
      const auto& [features, saliency, grid] = film;
      const int64_t count = features.size(1);
      if (select_ == "top" && budget_.of(count) == count) return whole_film(features);
      FilmRows rows(features.size(0), count, features);
      for (int64_t f = 0; f < features.size(0); ++f) {
        check_cancelled();
        add_picture(features[f], saliency[f], kept_of(saliency[f]), f * count, rows);
      }
      return rows.by_place();
    });
  }

 private:
  /// The tokens that stay, of saliency [N]: [k], rising; fewer than N.
  at::Tensor kept_of(const at::Tensor& saliency) const {
    const int64_t count = saliency.size(0);
    const int64_t top = select_ == "top" ? budget_.of(count) - 1 : outliers(saliency);
    at::Tensor stays = at::zeros_like(saliency, at::kBool);
    const at::Tensor order = at::argsort(saliency, /*stable=*/true, 0, /*descending=*/true);
    stays.index_fill_(0, order.slice(0, 0, top), true);
    if (select_ == "spread" && top > 0) {
      // Three to each outlier; the last token is never one of them.
      stays.slice(0, 0, count - 1)
          .slice(0, 0, std::nullopt, std::max<int64_t>(1, count / top / 3))
          .fill_(true);
    }
    return at::nonzero(stays).flatten();
  }

  /// features [N, D], saliency [N], kept [k]; the picture's tokens are numbered from `begin`.
  void add_picture(const at::Tensor& features, const at::Tensor& saliency, const at::Tensor& kept,
                   int64_t begin, FilmRows& rows) const {
    const int64_t count = features.size(0), stay = kept.size(0);
    const at::Tensor weighed = features * saliency.unsqueeze(1);
    const at::Tensor own = features.index_select(0, kept);
    at::Tensor cosine = at::matmul(unit_rows(own), unit_rows(features).t());
    cosine.scatter_(1, kept.unsqueeze(1), -2);  // no token is its own neighbour
    const at::Tensor order = at::argsort(cosine, /*stable=*/true, 1, /*descending=*/true);
    const at::Tensor near = at::zeros_like(cosine).scatter(
        1, order.slice(1, 0, std::min(neighbours_, count - 1)), 1.0);  // [k, N]
    const int64_t first = rows.add(own + at::matmul(near, weighed), kept + begin);
    rows.assign(kept + begin, at::arange(first, first + stay, kept.options()));

    const at::Tensor gone =
        at::nonzero(at::ones_like(saliency, at::kBool).index_fill(0, kept, false)).flatten();
    if (gone.size(0) == 0) return;
    const int64_t rest =
        rows.add(weighed.index_select(0, gone).sum(0, /*keepdim=*/true), gone.slice(0, -1) + begin);
    rows.assign(gone + begin, at::full_like(gone, rest));
  }

  Budget budget_;
  std::string select_;
  int64_t neighbours_;
};

}  // namespace

std::unique_ptr<Compressor> make_prumerge(Params params) {
  auto made = std::make_unique<Prumerge>(params);
  params.done("prumerge");
  return made;
}

}  // namespace lv::vision
