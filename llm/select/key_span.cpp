#include "llm/select/key_span.h"

#include <algorithm>

namespace lv::llm {

std::vector<TokenRange> KeySpan::seen(TokenRange queries) const {
  const int64_t first = all() ? 0 : queries.begin - window + 1;
  if (first <= sinks) return {{0, queries.end}};
  if (sinks == 0) return {{first, queries.end}};
  return {{0, sinks}, {first, queries.end}};
}

TokenRange KeySpan::unseen(int64_t next) const {
  if (all()) return {};
  return {sinks, std::max(sinks, next - window + 1)};
}

}  // namespace lv::llm
