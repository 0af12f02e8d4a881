#include "llm/engine/ngram_draft.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace lv::llm {
namespace {

using Ids = std::vector<int64_t>;

/// The same by looking at every place.
Ids searched(const Ids& text, int64_t count) {
  for (size_t size = 4; size >= 2; --size) {
    if (text.size() <= size) continue;
    for (size_t end = text.size() - 1; end >= size; --end) {
      if (!std::equal(text.end() - static_cast<int64_t>(size), text.end(),
                      text.begin() + static_cast<int64_t>(end - size))) {
        continue;
      }
      const size_t last = std::min(text.size(), end + static_cast<size_t>(count));
      return {text.begin() + static_cast<int64_t>(end), text.begin() + static_cast<int64_t>(last)};
    }
  }
  return {};
}

}  // namespace

TEST_CASE("a draft is what followed the longest n-gram when it stood last") {
  NgramDraft draft;
  CHECK(draft.propose(4).empty());
  draft.observe({1, 2, 3, 9, 1, 2, 3, 8, 5, 2, 3});
  CHECK(draft.propose(3) == Ids{8, 5, 2});
  draft.observe({9});
  CHECK(draft.propose(9) == Ids{1, 2, 3, 8, 5, 2, 3, 9});
  CHECK(draft.propose(0).empty());
  CHECK(draft.propose(-1).empty());
  draft.observe({7, 7});
  CHECK(draft.propose(3).empty());
  draft.observe({7});
  CHECK(draft.propose(3) == Ids{7});
}

TEST_CASE("a draft is found as by looking everywhere") {
  std::mt19937 random(5);
  for (const unsigned kinds : {2U, 5U, 20U}) {
    NgramDraft draft;
    Ids text;
    for (int i = 0; i < 200; ++i) {
      text.push_back(random() % kinds);
      draft.observe({text.back()});
      REQUIRE(draft.propose(5) == searched(text, 5));
    }
  }
}

}  // namespace lv::llm
