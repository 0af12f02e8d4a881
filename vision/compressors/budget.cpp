#include "vision/compressors/budget.h"

#include <ATen/ATen.h>

#include <cmath>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

constexpr double kLost = 1e-9;  // more than a decimal share loses to its binary form

}  // namespace

Budget::Budget(Params& params, std::string_view component, const char* scope) {
  params.belong_to(component);
  keep_ = params.get("keep", 1.0);
  const bool counted = params.values().contains("tokens");
  const int64_t tokens = params.get("tokens", 1);
  const std::string over = params.get("over", scope);
  const std::string name(component);
  check(keep_ > 0 && keep_ <= 1, ErrorCode::kInvalidArgument,
        name + ".keep: expected more than 0, at most 1, got " + std::to_string(keep_));
  check(tokens >= 1, ErrorCode::kInvalidArgument,
        name + ".tokens: expected at least 1, got " + std::to_string(tokens));
  check(!counted || !params.values().contains("keep"), ErrorCode::kInvalidArgument,
        name + ": expected keep or tokens, got both");
  check(over == "picture" || over == "clip", ErrorCode::kInvalidArgument,
        name + ".over: expected picture or clip, got " + over);
  if (counted) tokens_ = tokens;
  over_clip_ = over == "clip";
}

int64_t Budget::of(int64_t count) const {
  if (count == 0) return 0;
  if (tokens_) return std::min(*tokens_, count);
  const auto share = static_cast<int64_t>(keep_ * static_cast<double>(count) + kLost);
  return std::clamp<int64_t>(share, 1, count);
}

int64_t Budget::up_of(int64_t count, double times) const {
  if (count == 0) return 0;
  const double wanted =
      tokens_ ? static_cast<double>(*tokens_) : keep_ * static_cast<double>(count);
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(wanted * times - kLost)), 1, count);
}

double Budget::share_of(int64_t count) const {
  return tokens_ ? std::min(1.0, static_cast<double>(*tokens_) / static_cast<double>(count))
                 : keep_;
}

double Budget::keep(const VisualTokens& tokens) const {
  const int64_t count = tokens.features.size(0);
  if (!tokens_ || count == 0) return keep_;
  int64_t kept = 0;
  for (const auto& [first, last] : groups(tokens)) kept += of(last - first);
  return static_cast<double>(kept) / static_cast<double>(count);
}

std::vector<Budget::Range> Budget::groups(const VisualTokens& tokens) const {
  if (over_clip_) return {{0, tokens.features.size(0)}};
  const at::Tensor offsets = tokens.offsets.cpu().contiguous();
  const int32_t* at = offsets.const_data_ptr<int32_t>();
  std::vector<Range> ranges;
  for (int64_t p = 0; p + 1 < offsets.size(0); ++p) ranges.push_back({at[p], at[p + 1]});
  return ranges;
}

}  // namespace lv::vision
