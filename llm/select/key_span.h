#pragma once

#include <cstdint>
#include <vector>

#include "llm/kv/kv_store.h"

namespace lv::llm {

/// Which of the tokens up to itself a query sees: the nearest `window`, itself included, and the
/// first `sinks` (StreamingLLM, arXiv 2309.17453, section 3.2); all of them if `window` is 0.
struct KeySpan {
  int64_t window = 0;
  int64_t sinks = 0;

  bool all() const { return window == 0; }
  /// What queries `queries` see of their sequence together: one range or two.
  std::vector<TokenRange> seen(TokenRange queries) const;
  /// What no query from `next` on sees any more.
  TokenRange unseen(int64_t next) const;
};

}  // namespace lv::llm
