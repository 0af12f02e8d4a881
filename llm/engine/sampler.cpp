#include "llm/engine/sampler.h"

#include <ATen/ATen.h>
#include <ATen/core/PhiloxRNGEngine.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr const char* kBroken = "logits: expected finite numbers, got NaN or infinity";

/// A number in [0, 1) that depends on the seed and the place alone.
double uniform(uint64_t seed, uint64_t place) {
  at::Philox4_32 engine(seed, place);
  const uint64_t high = engine();
  const uint64_t low = engine();
  return static_cast<double>((high << 21) ^ (low >> 11)) / 9007199254740992.0;  // 2^53
}

struct Candidate {
  int64_t id;
  double weight;
};

/// By falling weight, lower ids first among equals.
bool likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

/// The candidates that top-k leaves, sorted, with weights that sum to one.
std::vector<Candidate> top_candidates(const std::vector<float>& scores, double temperature,
                                      int64_t top_k) {
  const double top = *std::max_element(scores.begin(), scores.end());
  std::vector<Candidate> all;
  for (size_t id = 0; id < scores.size(); ++id) {
    const double weight = std::exp((scores[id] - top) / temperature);
    if (weight > 0) all.push_back({static_cast<int64_t>(id), weight});
  }
  if (top_k > 0 && top_k < static_cast<int64_t>(all.size())) {
    std::nth_element(all.begin(), all.begin() + top_k, all.end(), likelier);
    all.resize(static_cast<size_t>(top_k));
  }
  std::sort(all.begin(), all.end(), likelier);
  const double sum = std::accumulate(all.begin(), all.end(), 0.0,
                                     [](double s, const Candidate& c) { return s + c.weight; });
  for (Candidate& candidate : all) candidate.weight /= sum;
  return all;
}

/// The fewest likeliest whose weights reach `top_p`; then those of at least `min_p` times the
/// largest.
void cut(std::vector<Candidate>& sorted, double top_p, double min_p) {
  double sum = 0;
  size_t kept = 0;
  while (kept < sorted.size() && sum < top_p) sum += sorted[kept++].weight;
  const double least = min_p * sorted[0].weight;
  while (kept > 1 && sorted[kept - 1].weight < least) --kept;
  sorted.resize(kept);
}

}  // namespace

Sampler::Sampler(const GenerationOptions& options, int64_t vocabulary,
                 std::shared_ptr<TokenConstraint> constraint)
    : options_(options),
      constraint_(std::move(constraint)),
      seen_(static_cast<size_t>(vocabulary)),
      scores_(static_cast<size_t>(vocabulary)) {}

void Sampler::observe(const std::vector<int64_t>& ids) {
  for (const int64_t id : ids) {
    if (id >= 0 && id < static_cast<int64_t>(seen_.size())) seen_[static_cast<size_t>(id)] = true;
  }
}

/// Reference: Keskar et al., CTRL, arXiv 1909.05858, section 4.1. Differs: negative scores are
/// multiplied, so that the penalty always lowers them.
void Sampler::penalise(std::vector<float>& scores) const {
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  if (penalty == 1) return;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (seen_[id]) scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
  }
}

int64_t Sampler::next(const at::Tensor& logits) {
  check_shape(logits, "logits", {static_cast<int64_t>(scores_.size())});
  const at::Tensor row = logits.to(at::kCPU, at::kFloat).contiguous();
  std::copy_n(row.const_data_ptr<float>(), scores_.size(), scores_.begin());
  const bool broken = std::any_of(scores_.begin(), scores_.end(), [](float s) {
    return std::isnan(s) || s == std::numeric_limits<float>::infinity();
  });
  const auto best = std::max_element(scores_.begin(), scores_.end());
  check(!broken && std::isfinite(*best), ErrorCode::kInternal, kBroken);
  if (constraint_) {
    constraint_->mask(scores_);
    check(std::isfinite(*std::max_element(scores_.begin(), scores_.end())), ErrorCode::kInternal,
          "logits: expected a finite one that the constraint allows, got none");
  }
  penalise(scores_);
  int64_t id = 0;
  if (options_.temperature == 0) {
    id = std::max_element(scores_.begin(), scores_.end()) - scores_.begin();
  } else {
    auto candidates = top_candidates(scores_, options_.temperature, options_.top_k);
    cut(candidates, options_.top_p, options_.min_p);
    double mass = 0;
    for (const Candidate& candidate : candidates) mass += candidate.weight;
    double left = uniform(options_.seed, drawn_) * mass;
    size_t chosen = 0;
    while (chosen + 1 < candidates.size() && left >= candidates[chosen].weight) {
      left -= candidates[chosen++].weight;
    }
    id = candidates[chosen].id;
  }
  return go_on(id);
}

bool Sampler::takes_largest() const {
  return options_.temperature == 0 && options_.repetition_penalty == 1 && !constraint_;
}

int64_t Sampler::take(int64_t id, double score) {
  check(std::isfinite(score), ErrorCode::kInternal, kBroken);
  return go_on(id);
}

/// Notes what was chosen.
int64_t Sampler::go_on(int64_t id) {
  if (constraint_) constraint_->accept(id);
  ++drawn_;
  seen_[static_cast<size_t>(id)] = true;
  return id;
}

}  // namespace lv::llm
