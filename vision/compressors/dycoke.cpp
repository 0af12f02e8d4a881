#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/films.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

/// Thins every second frame of a film, and every second of those that are left, against the frame
/// before it: of each place's tokens those stay that are least like the earlier frame's.
///
/// keep and tokens count in a thinned frame; of each four the first is whole, so are stills. The
/// earlier frame's token at the same place stands for a token that goes.
/// Reference: Tao et al., DyCoke: Dynamic Compression of Tokens for Fast Video Large Language
/// Models, CVPR 2025, section 3.2; as in their code the third frame of the last four is whole.
/// Differs: reading order, an odd last frame stays, and nothing is pruned while answers are
/// written.
class Dycoke : public TokenCompressor {
 public:
  explicit Dycoke(Params& params) : budget_(params, "dycoke") {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "dycoke.over: expected picture, got clip");
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    return reduce_films(tokens, "dycoke", budget_.keep(tokens), [this](const FilmTokens& all) {
      return film(all.features, budget_.of(all.features.size(1)));
    });
  }

 private:
  /// features: [F, N, D].
  static ReducedFilm film(const at::Tensor& features, int64_t budget) {
    const int64_t frames = features.size(0), tokens = features.size(1);
    const at::Tensor unit = unit_rows(features);
    const at::Tensor all = at::arange(tokens, features.options().dtype(at::kLong));
    FilmRows rows(frames, tokens, features);
    std::vector<at::Tensor> row_of;  // of each frame's places
    for (int64_t f = 0; f < frames; ++f) {
      const int64_t before = f % 2 == 1 ? f - 1 : f % 4 == 2 && f + 2 < frames ? f - 2 : f;
      at::Tensor kept = all;
      if (before < f) {
        const at::Tensor cosine = (unit[before] * unit[f]).sum(1);
        const at::Tensor order = at::argsort(cosine, /*stable=*/true, 0, /*descending=*/false);
        kept = std::get<0>(order.slice(0, 0, budget).sort());
      }
      const int64_t first = rows.add(features[f].index_select(0, kept), kept + f * tokens);
      const at::Tensor own = at::arange(first, first + kept.size(0), all.options());
      const at::Tensor stand_ins =
          before < f ? row_of[static_cast<size_t>(before)].index_copy(0, kept, own) : own;
      rows.drop(all + f * tokens, stand_ins);
      rows.assign(kept + f * tokens, own);
      row_of.push_back(stand_ins);
    }
    return rows.in_order();
  }

  Budget budget_;
};

}  // namespace

std::unique_ptr<Compressor> make_dycoke(Params params) {
  auto made = std::make_unique<Dycoke>(params);
  params.done("dycoke");
  return made;
}

}  // namespace lv::vision
