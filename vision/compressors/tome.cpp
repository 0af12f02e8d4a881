#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/grouping.h"
#include "vision/compressors/tome_params.h"
#include "vision/kernels/token_matching.h"

namespace lv::vision {
namespace {

/// Hands on what merged between the encoder's layers, if that is what the parameters ask for. Else
/// merges the likest tokens until the budget is reached, in `steps` rounds of as many pairs each,
/// more where half of the tokens are fewer than that. The metric is the tokens themselves.
///
/// [M, D] -> [M', D]; rows are size-weighted means, at the place of the token that the others
/// joined. Ties keep the lower index, so every device agrees.
/// Reference: Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023, section 3. Differs: runs
/// on finished tokens, not between the encoder's layers; no class token; reading order restored.
class Tome : public TokenCompressor {
 public:
  explicit Tome(TomeParams params) : params_(std::move(params)) {}

  VisualTokens reduce(const VisualTokens& tokens) const override {
    const bool merged = tokens.reports.size() == 1 && tokens.reports.front().method == "tome";
    if (merged && params_.at != TomeParams::At::kTokens) return tokens;
    check(params_.at != TomeParams::At::kLayers, ErrorCode::kFailedPrecondition,
          "tome.at: expected tokens that merged between the encoder's layers (at=layers), got " +
              std::string(tokens.reports.empty() ? "those of an encoder that was not asked to"
                                                 : "those of another method"));
    return merged_tokens(tokens);
  }

 private:
  VisualTokens merged_tokens(const VisualTokens& tokens) const {
    const auto begin = std::chrono::steady_clock::now();
    Grouping grouping{at::empty_like(tokens.origin.source, at::kLong), 0};
    std::vector<at::Tensor> rows, places;
    for (const auto& [first, last] : params_.budget.groups(tokens)) {
      const at::Tensor part = tokens.features.slice(0, first, last);
      MergeState state = unmerged(part.to(at::kFloat).unsqueeze(0));
      if (tokens.sizes.defined()) state.sizes = tokens.sizes.slice(0, first, last).unsqueeze(0);
      const MergeState merged = in_reading_order(merged_to(state, params_.budget.of(last - first)));
      const int64_t left = merged.sizes.size(1);
      rows.push_back(left == last - first ? part : merged.features[0].to(part.scalar_type()));
      places.push_back(merged.positions[0] + first);
      grouping.row_of.slice(0, first, last).copy_(merged.row_of[0] + grouping.count);
      grouping.count += left;
    }
    if (!places.empty()) grouping.place = at::cat(places);
    const at::Tensor features = rows.empty() ? tokens.features : at::cat(rows);
    const double keep = params_.budget.keep(tokens);
    return reported(grouped(tokens, grouping, features), "tome", keep, tokens, grouping, begin);
  }

  MergeState merged_to(MergeState state, int64_t budget) const {
    const int64_t surplus = state.sizes.size(1) - budget;
    const int64_t pairs = (surplus + params_.steps - 1) / params_.steps;
    for (int64_t count = state.sizes.size(1); count > budget; count = state.sizes.size(1)) {
      state = merge(state, match_bipartite(state.features, std::min(pairs, count - budget), false));
    }
    return state;
  }

  TomeParams params_;
};

}  // namespace

std::unique_ptr<Compressor> make_tome(Params params) {
  return std::make_unique<Tome>(TomeParams(std::move(params)));
}

}  // namespace lv::vision
