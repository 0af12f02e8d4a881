#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/base/params.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// How many tokens may stay, as the parameters keep, tokens and over say it.
class Budget {
 public:
  /// Reads the three keys. Throws kInvalidArgument that names the key on a value out of range, or
  /// if both keep and tokens are given. `scope` is what `over` defaults to.
  Budget(Params& params, std::string_view component, const char* scope = "picture");

  /// The tokens to keep of `count`: at least 1, at most `count`; 0 of 0.
  int64_t of(int64_t count) const;

  /// The same with a share rounded up, as some methods publish it, of a budget `times` as large.
  int64_t up_of(int64_t count, double times = 1) const;

  /// The share of `count` tokens that is asked for, at most 1.
  double share_of(int64_t count) const;

  /// The share asked for; if tokens are counted, the share that this is of these.
  double keep(const VisualTokens& tokens) const;

  bool over_clip() const { return over_clip_; }

  /// Rows [first, last) of each group that has a budget of its own: pictures, or the clip.
  struct Range {
    int64_t first, last;
  };
  std::vector<Range> groups(const VisualTokens& tokens) const;

 private:
  double keep_ = 1;
  std::optional<int64_t> tokens_;
  bool over_clip_ = false;
};

}  // namespace lv::vision
