#include "vision/compressors/budget.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv::vision {

Budget::Budget(Params& params, std::string_view component, const char* scope)
    : keep_(params.get("keep", 1.0)) {
  const int64_t tokens = params.get("tokens", 0);
  const std::string over = params.get("over", scope);
  const std::string name(component);
  check(keep_ > 0 && keep_ <= 1, ErrorCode::kInvalidArgument,
        name + ".keep: expected more than 0, at most 1, got " + std::to_string(keep_));
  check(tokens >= 0, ErrorCode::kInvalidArgument,
        name + ".tokens: expected at least 1, got " + std::to_string(tokens));
  check(tokens == 0 || keep_ == 1, ErrorCode::kInvalidArgument,
        name + ": expected keep or tokens, got both");
  check(over == "picture" || over == "clip", ErrorCode::kInvalidArgument,
        name + ".over: expected picture or clip, got " + over);
  if (tokens > 0) tokens_ = tokens;
  over_clip_ = over == "clip";
}

int64_t Budget::of(int64_t count) const {
  if (count == 0) return 0;
  if (tokens_) return std::min(*tokens_, count);
  // The least that a decimal share may lose to its binary form.
  const auto share = static_cast<int64_t>(keep_ * static_cast<double>(count) + 1e-9);
  return std::clamp<int64_t>(share, 1, count);
}

double Budget::keep(int64_t count) const {
  if (!tokens_ || count == 0) return keep_;
  return static_cast<double>(of(count)) / static_cast<double>(count);
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
