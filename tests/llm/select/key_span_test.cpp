#include "llm/select/key_span.h"

#include <catch2/catch.hpp>

namespace lv::llm {

TEST_CASE("a span sees what its rule says, and leaves what nobody will see") {
  const KeySpan span{.window = GENERATE(0, 1, 4, 100), .sinks = GENERATE(0, 2)};
  const auto sees = [&](int64_t query, int64_t key) {
    return key <= query && (span.all() || key < span.sinks || key > query - span.window);
  };
  for (int64_t begin = 0; begin < 12; ++begin) {
    for (int64_t end = begin + 1; end < 12; ++end) {
      std::vector<bool> seen(12, false);
      for (const TokenRange& range : span.seen({begin, end})) {
        for (int64_t key = range.begin; key < range.end; ++key) {
          CHECK_FALSE(seen[static_cast<size_t>(key)]);
          seen[static_cast<size_t>(key)] = true;
        }
      }
      for (int64_t key = 0; key < 12; ++key) {
        bool by_any = false;
        for (int64_t query = begin; query < end; ++query) by_any = by_any || sees(query, key);
        // Sinks may be seen as part of one range though a short first query does not reach them.
        if (by_any) CHECK(seen[static_cast<size_t>(key)]);
        if (key >= end) CHECK_FALSE(seen[static_cast<size_t>(key)]);
      }
    }
    const TokenRange gone = span.unseen(begin);
    for (int64_t key = gone.begin; key < gone.end; ++key) {
      for (int64_t query = begin; query < 12; ++query) CHECK_FALSE(sees(query, key));
    }
  }
}

}  // namespace lv::llm
