#include "llm/engine/ngram_draft.h"

#include <algorithm>

#include "llm/engine/mixed_hash.h"

namespace lv::llm {

uint64_t NgramDraft::hash_of(size_t end, size_t size) const {
  uint64_t hash = size;
  for (size_t i = end - size; i < end; ++i) {
    hash = mixed_hash(hash, static_cast<uint64_t>(text_[i]));
  }
  return hash;
}

void NgramDraft::observe(const std::vector<int64_t>& ids) {
  for (const int64_t id : ids) {
    // What ends before the new token is noted now, so that the text's own end is never found.
    for (size_t size = kShortest; size <= std::min(kLongest, text_.size()); ++size) {
      ends_[hash_of(text_.size(), size)] = text_.size();
    }
    text_.push_back(id);
  }
}

std::vector<int64_t> NgramDraft::propose(int64_t count) const {
  for (size_t size = std::min(kLongest, text_.size()); size >= kShortest; --size) {
    const auto found = ends_.find(hash_of(text_.size(), size));
    if (found == ends_.end()) continue;
    const auto end = text_.begin() + static_cast<int64_t>(found->second);
    const auto step = static_cast<int64_t>(size);
    if (!std::equal(end - step, end, text_.end() - step)) continue;
    return {end, end + std::min<int64_t>(std::max<int64_t>(0, count), text_.end() - end)};
  }
  return {};
}

}  // namespace lv::llm
