#pragma once

#include <cstdint>
#include <span>

namespace lv::llm {

/// Says which tokens may come next in one answer. Not thread-safe.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  /// Sets the scores [V] of tokens that may not come next to minus infinity.
  virtual void mask(std::span<float> scores) = 0;

  /// Goes on behind a token that mask() left.
  virtual void accept(int64_t id) = 0;
};

}  // namespace lv::llm
