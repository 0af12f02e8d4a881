#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/grouping.h"
#include "vision/kernels/token_matching.h"

namespace lv::vision {
namespace {

/// Merges the likest tokens until the budget is reached, in `steps` rounds of as many pairs each,
/// more where half of the tokens are fewer than that. The metric is the tokens themselves.
///
/// [M, D] -> [M', D]; rows are size-weighted means, at the place of the token that the others
/// joined. Ties keep the lower index, so every device agrees.
/// Reference: Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023, section 3. Differs: runs
/// on finished tokens, not between the encoder's layers; no class token; reading order restored.
class Tome : public TokenCompressor {
 public:
  explicit Tome(Params& params) : budget_(params, "tome"), steps_(params.get("steps", 8)) {
    check(steps_ >= 1, ErrorCode::kInvalidArgument,
          "tome.steps: expected at least 1, got " + std::to_string(steps_));
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    const auto begin = std::chrono::steady_clock::now();
    Grouping grouping{at::empty_like(tokens.origin.source, at::kLong), 0};
    std::vector<at::Tensor> rows, places;
    for (const auto& [first, last] : budget_.groups(tokens)) {
      const at::Tensor part = tokens.features.slice(0, first, last);
      MergeState state = unmerged(part.to(at::kFloat).unsqueeze(0));
      if (tokens.sizes.defined()) state.sizes = tokens.sizes.slice(0, first, last).unsqueeze(0);
      const MergeState merged = merged_to(state, budget_.of(last - first));
      const int64_t left = merged.sizes.size(1);
      // A row lies where its own token lay.
      const at::Tensor reading_order = merged.positions[0].argsort();
      rows.push_back(
          left == last - first
              ? part
              : merged.features[0].index_select(0, reading_order).to(part.scalar_type()));
      places.push_back(merged.positions[0].index_select(0, reading_order) + first);
      const at::Tensor place = reading_order.argsort();
      grouping.row_of.slice(0, first, last)
          .copy_(place.index_select(0, merged.row_of[0]) + grouping.count);
      grouping.count += left;
    }
    if (!places.empty()) grouping.place = at::cat(places);
    const at::Tensor features = rows.empty() ? tokens.features : at::cat(rows);
    const double keep = budget_.keep(tokens);
    return reported(grouped(tokens, grouping, features), "tome", keep, tokens, grouping, begin);
  }

 private:
  MergeState merged_to(MergeState state, int64_t budget) const {
    const int64_t surplus = state.sizes.size(1) - budget;
    const int64_t pairs = (surplus + steps_ - 1) / steps_;
    for (int64_t count = state.sizes.size(1); count > budget; count = state.sizes.size(1)) {
      state = merge(state, match_bipartite(state.features, std::min(pairs, count - budget), false));
    }
    return state;
  }

  Budget budget_;
  int64_t steps_;
};

}  // namespace

std::unique_ptr<Compressor> make_tome(Params params) {
  auto made = std::make_unique<Tome>(params);
  params.done("tome");
  return made;
}

}  // namespace lv::vision
