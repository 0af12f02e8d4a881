#include "llm/retain/prefix_kv.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "llm/plan/check_keys.h"
#include "llm/retain/retention.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kProtectedEnd = 1;
constexpr int kBisections = 64;  // halves the share down to neighbouring numbers

struct Settings {
  double keep = 1;
  std::vector<double> ratios;  // by layer; empty: found for each prompt
  int64_t start = 4;
  int64_t window = 64;
};

std::string number(double value) { return std::to_string(value); }

/// Reference: Wang et al., PrefixKV: Adaptive Prefix KV Cache is What Vision Instruction-Following
/// Models Need for Efficient Generation, arXiv 2412.03409, section 3.2. Differs: importance is the
/// attention of the prompt's last rows, of all query heads; what is read after the prompt is kept.
class PrefixKv : public Retention {
 public:
  explicit PrefixKv(Settings settings) : settings_(std::move(settings)) {}

  int64_t window() const override { return settings_.window; }

  std::vector<at::Tensor> kept(const std::vector<at::Tensor>& importance) const override {
    if (importance.empty()) return {};
    const at::Tensor all = at::stack(importance).cpu();
    const std::vector<int64_t> counts = counts_of(all);
    std::vector<at::Tensor> result;
    for (size_t layer = 0; layer < counts.size(); ++layer) {
      result.push_back(chosen(all[static_cast<int64_t>(layer)], counts[layer]));
    }
    return result;
  }

 private:
  int64_t always() const { return settings_.start + kProtectedEnd; }

  std::vector<int64_t> counts_of(const at::Tensor& importance) const {
    if (settings_.ratios.empty()) return prefix_kv_counts(importance, settings_.keep, always());
    const int64_t tokens = importance.size(1);
    std::vector<int64_t> counts;
    for (const double ratio : settings_.ratios) {
      const int64_t count = std::llround(ratio * static_cast<double>(tokens));
      counts.push_back(std::min(tokens, std::max(count, always())));
    }
    return counts;
  }

  /// The first tokens, the last, and between them the most important: `count` together.
  at::Tensor chosen(const at::Tensor& importance, int64_t count) const {
    const int64_t tokens = importance.size(0);
    if (count >= tokens) return at::arange(tokens, at::kLong);
    const at::Tensor between = importance.slice(0, settings_.start, tokens - kProtectedEnd);
    const at::Tensor best = std::get<1>(between.topk(count - always())) + settings_.start;
    return at::cat({at::arange(settings_.start, at::kLong), std::get<0>(best.sort()),
                    at::arange(tokens - kProtectedEnd, tokens, at::kLong)});
  }

  Settings settings_;
};

}  // namespace

std::vector<int64_t> prefix_kv_counts(const at::Tensor& importance, double keep, int64_t always) {
  check_shape(importance, "importance", {-1, -1});
  const int64_t layers = importance.size(0);
  const int64_t tokens = importance.size(1);
  // A broken prompt has importance that is no number; its answer fails by itself.
  const at::Tensor finite = importance.to(at::kDouble).nan_to_num(0.0, 0.0, 0.0);
  at::Tensor held = std::get<0>(finite.sort(-1, /*descending=*/true)).cumsum(-1);  // [L, N]
  held = (held / held.slice(1, tokens - 1)).nan_to_num(1.0);

  const auto forgotten = [&](double share) {
    const at::Tensor place = at::searchsorted(held, at::full({layers, 1}, share, at::kDouble));
    return (tokens - always - 1 - place.squeeze(1)).clamp_min(0);  // [L]
  };
  const double budget = (1 - keep) * static_cast<double>(layers * tokens);
  double low = 0;
  double high = 1;
  for (int i = 0; i < kBisections; ++i) {
    const double share = (low + high) / 2;
    (forgotten(share).sum().item<double>() >= budget ? low : high) = share;
  }
  const at::Tensor most = forgotten(low);
  const double sum = std::max(1.0, most.sum().item<double>());
  const double part = std::min(1.0, budget / sum);
  std::vector<int64_t> counts;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const double forgets = std::floor(most[layer].item<double>() * part);
    counts.push_back(tokens - static_cast<int64_t>(forgets));
  }
  return counts;
}

std::unique_ptr<Retention> make_prefix_kv(const Json& settings, int64_t layers) {
  const std::string where = "plan.retain";
  check_keys(settings, where, {"kind", "keep", "ratios", "start", "window"});
  const auto checked = [&](const char* key, double value) {
    check(value > 0 && value <= 1, ErrorCode::kInvalidArgument,
          where + "." + key + ": expected more than 0 and at most 1, got " + number(value));
    return value;
  };
  Settings read;
  const Json* ratios = settings.find("ratios");
  check((ratios == nullptr) != (settings.find("keep") == nullptr), ErrorCode::kInvalidArgument,
        where + ": expected either keep or ratios");
  if (ratios == nullptr) {
    read.keep = checked("keep", settings.at("keep").as_double());
  } else {
    for (const Json& ratio : ratios->as_array()) {
      read.ratios.push_back(checked("ratios", ratio.as_double()));
    }
    const auto count = static_cast<int64_t>(read.ratios.size());
    check(count > 0 && (layers == 0 || count == layers), ErrorCode::kInvalidArgument,
          where + ".ratios: expected one for each of " + std::to_string(layers) + " layers, got " +
              std::to_string(count));
  }
  read.start = settings.get("start", read.start);
  check(read.start >= 0, ErrorCode::kInvalidArgument,
        where + ".start: expected 0 or more, got " + std::to_string(read.start));
  read.window = settings.get("window", read.window);
  check(read.window > 0, ErrorCode::kInvalidArgument,
        where + ".window: expected at least 1, got " + std::to_string(read.window));
  return std::make_unique<PrefixKv>(std::move(read));
}

}  // namespace lv::llm
