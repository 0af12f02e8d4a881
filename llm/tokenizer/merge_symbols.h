#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace lv::llm {

/// A token of a word that is being put together; a node of a doubly linked list.
struct Symbol {
  int32_t id = -1;  // -1: no token of the vocabulary
  uint32_t begin = 0;
  uint32_t length = 0;  // in bytes of the word; 0 when merged into the one before
  int32_t previous = -1;
  int32_t next = -1;
};

inline void push_symbol(std::vector<Symbol>& symbols, int32_t id, size_t begin, size_t length) {
  const auto index = static_cast<int32_t>(symbols.size());
  if (index > 0) symbols.back().next = index;
  symbols.push_back(
      {id, static_cast<uint32_t>(begin), static_cast<uint32_t>(length), index - 1, -1});
}

/// What two neighbours become, and how early: the lowest rank first, then the leftmost.
struct Merge {
  double rank;
  int32_t id;
};

/// Merges neighbours until none can be. find(left, right) -> optional<Merge>.
/// O(n log n) for n symbols: a heap of candidates, of which stale ones are skipped.
template <class Find>
void merge_symbols(std::vector<Symbol>& symbols, Find find) {
  struct Candidate {
    Merge merge;
    int32_t at;
    bool operator<(const Candidate& other) const {  // the heap's top is the largest
      if (merge.rank != other.merge.rank) return merge.rank > other.merge.rank;
      return at > other.at;
    }
  };
  std::priority_queue<Candidate> queue;
  const auto offer = [&](int32_t at) {
    if (at < 0) return;
    const Symbol& left = symbols[static_cast<size_t>(at)];
    if (left.next < 0) return;
    if (const auto merge = find(left, symbols[static_cast<size_t>(left.next)]))
      queue.push({*merge, at});
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<size_t>(top.at)];
    if (left.length == 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    const auto now = find(left, right);
    if (!now || now->id != top.merge.id) continue;
    left.id = top.merge.id;
    left.length += right.length;
    right.length = 0;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = top.at;
    offer(left.previous);
    offer(top.at);
  }
}

}  // namespace lv::llm
