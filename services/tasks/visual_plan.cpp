#include "services/tasks/visual_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "pipeline/base/error.h"

namespace lv::services {
namespace {

constexpr int64_t kSingleSteps = 16;    // frames that are told apart one by one
constexpr int64_t kSmallerPicture = 1;  // loss that lets merging win against a smaller picture

/// A choice for the sources so far that none beats in both tokens and worth.
struct Partial {
  int64_t tokens = 0;
  int64_t worth = 0;  // in thousandths
  std::vector<SourcePlan> sources;
};

/// How many frames a film may be looked at with.
std::vector<int64_t> choices_of(int64_t most) {
  std::vector<int64_t> choices;
  for (int64_t f = 1; f < most; f += f < kSingleSteps ? 1 : f / 8) choices.push_back(f);
  choices.push_back(most);
  return choices;
}

int64_t worth_of(int64_t frames) {
  return std::llround(1000 * std::log2(static_cast<double>(frames)));
}

/// Of equal tokens the most worth, then more frames, then larger pictures of the first sources,
/// comes first.
bool before(const Partial& a, const Partial& b) {
  if (a.tokens != b.tokens) return a.tokens < b.tokens;
  if (a.worth != b.worth) return a.worth > b.worth;
  for (size_t i = 0; i < a.sources.size(); ++i) {
    if (a.sources[i].frames != b.sources[i].frames) {
      return a.sources[i].frames > b.sources[i].frames;
    }
  }
  return std::ranges::lexicographical_compare(a.sources, b.sources, {}, &SourcePlan::size,
                                              &SourcePlan::size);
}

/// All choices for one more source that fit and that none beats.
std::vector<Partial> extended(const std::vector<Partial>& partials, const SourceCost& source,
                              size_t keep, double share, int64_t most_tokens) {
  std::vector<Partial> all;
  for (const Partial& partial : partials) {
    for (size_t size = 0; size < source.sizes.size(); ++size) {
      const PictureCost& cost = source.sizes[size];
      const int64_t smaller = size > 0 ? kSmallerPicture : 0;
      const int64_t worth = partial.worth - loss_of(share * cost.detail) - smaller;
      for (const int64_t frames : choices_of(source.most_frames)) {
        const int64_t tokens = partial.tokens + frames * cost.frame.at(keep) + cost.after.at(keep);
        if (tokens > most_tokens) break;
        Partial next{tokens, worth + worth_of(frames), partial.sources};
        next.sources.push_back({frames, size});
        all.push_back(std::move(next));
      }
    }
  }
  std::sort(all.begin(), all.end(), before);
  std::vector<Partial> best;
  for (Partial& each : all) {
    if (best.empty() || each.worth > best.back().worth) best.push_back(std::move(each));
  }
  return best;
}

int64_t least_tokens(const std::vector<SourceCost>& sources, size_t keeps) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (size_t k = 0; k < keeps; ++k) {
    int64_t tokens = 0;
    for (const SourceCost& source : sources) {
      int64_t smallest = std::numeric_limits<int64_t>::max();
      for (const PictureCost& cost : source.sizes) {
        smallest = std::min(smallest, cost.frame.at(k) + cost.after.at(k));
      }
      tokens += smallest;
    }
    least = std::min(least, tokens);
  }
  return least;
}

}  // namespace

int64_t loss_of(double keep) {
  constexpr std::array<std::pair<double, double>, 6> kKnown{
      // share, loss
      {{1, 0}, {0.5, 250}, {0.25, 750}, {0.2, 1000}, {0.1, 2000}, {0.05, 3000}}};
  for (size_t i = 1; i < kKnown.size(); ++i) {
    const auto [more, loss] = kKnown[i - 1];
    const auto [less, larger] = kKnown[i];
    if (keep < less && i + 1 < kKnown.size()) continue;
    return std::llround(loss + (larger - loss) * std::log(more / keep) / std::log(more / less));
  }
  return 0;
}

VisualPlan plan_visual(const std::vector<SourceCost>& sources, const std::vector<double>& keeps,
                       int64_t most_tokens) {
  std::optional<Partial> best;
  VisualPlan plan;
  for (size_t k = 0; k < keeps.size(); ++k) {
    std::vector<Partial> partials{Partial{}};
    for (const SourceCost& source : sources) {
      partials = extended(partials, source, k, keeps[k], most_tokens);
    }
    if (partials.empty()) continue;
    Partial found = std::move(partials.back());  // of the most worth
    const bool better = !best || found.worth > best->worth ||
                        (found.worth == best->worth &&
                         (found.tokens < best->tokens ||
                          (found.tokens == best->tokens && keeps[k] > keeps[plan.keep])));
    if (!better) continue;
    plan.keep = k;
    best = std::move(found);
  }
  check(best.has_value(), ErrorCode::kInvalidArgument,
        "visual tokens: expected at least " + std::to_string(least_tokens(sources, keeps.size())) +
            " for one picture of each of " + std::to_string(sources.size()) + " sources, got " +
            std::to_string(most_tokens));
  plan.sources = std::move(best->sources);
  plan.tokens = best->tokens;
  return plan;
}

}  // namespace lv::services
