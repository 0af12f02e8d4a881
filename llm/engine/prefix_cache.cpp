#include "llm/engine/prefix_cache.h"

#include <ATen/ATen.h>

#include <utility>

#include "llm/engine/mixed_hash.h"

namespace lv::llm {
namespace {

bool equal_rows(const at::Tensor& a, const at::Tensor& b, int64_t rows) {
  if (a.defined() != b.defined()) return false;
  return !a.defined() || at::equal(a.slice(0, 0, rows), b.slice(0, 0, rows));
}

}  // namespace

std::vector<uint64_t> PrefixCache::chain_of(const PromptRows& prompt, int64_t rows) const {
  std::vector<uint64_t> chain;
  uint64_t hash = 0;
  for (int64_t row = 0; row < rows / block_ * block_; ++row) {
    hash = mixed_hash(hash, prompt.keys[static_cast<size_t>(row)]);
    if ((row + 1) % block_ == 0) chain.push_back(hash);
  }
  return chain;
}

std::optional<PrefixCache::Match> PrefixCache::find(const PromptRows& prompt) {
  if (prompt.keys.empty() || entries_.empty()) return std::nullopt;
  const std::vector<uint64_t> chain = chain_of(prompt, reusable(prompt.embeddings.size(0)));
  for (auto blocks = static_cast<int64_t>(chain.size()); blocks > 0; --blocks) {
    const auto found = places_.find(chain[static_cast<size_t>(blocks - 1)]);
    if (found == places_.end() || found->second.blocks != blocks) continue;
    const Entries::iterator entry = found->second.entry;
    const int64_t rows = blocks * block_;
    if (!equal_rows(entry->prompt.embeddings, prompt.embeddings, rows) ||
        !equal_rows(entry->prompt.positions, prompt.positions, rows)) {
      continue;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return Match{fork(memory_, entry->sequence, rows), rows};
  }
  return std::nullopt;
}

void PrefixCache::add(const PromptRows& prompt, SequenceId sequence, int64_t tokens) {
  if (prompt.keys.empty()) return;
  const bool stateful = memory_.states.length(sequence) > 0;
  const int64_t rows = stateful ? reusable(prompt.embeddings.size(0)) : tokens / block_ * block_;
  if (rows == 0 || rows > tokens || (stateful && !memory_.states.reaches(sequence, rows))) return;
  const std::vector<uint64_t> chain = chain_of(prompt, rows);
  const auto known = places_.find(chain.back());
  if (known != places_.end() && known->second.blocks == static_cast<int64_t>(chain.size())) {
    entries_.splice(entries_.begin(), entries_, known->second.entry);
    return;
  }
  entries_.push_front({fork(memory_, sequence, rows), prompt, chain});
  const Entries::iterator entry = entries_.begin();
  tokens_ += rows;
  for (size_t i = stateful ? chain.size() - 1 : 0; i < chain.size(); ++i) {
    const auto [place, added] = places_.try_emplace(chain[i]);
    if (!added) {
      const Entries::iterator before = place->second.entry;
      if (--before->owned == 0) erase(before);  // this entry begins with all of it
    }
    places_[chain[i]] = {entry, static_cast<int64_t>(i + 1)};
    ++entry->owned;
  }
}

void PrefixCache::erase(Entries::iterator entry) {
  for (const uint64_t hash : entry->chain) {
    const auto place = places_.find(hash);
    if (place != places_.end() && place->second.entry == entry) places_.erase(place);
  }
  tokens_ -= static_cast<int64_t>(entry->chain.size()) * block_;
  drop(memory_, entry->sequence);
  entries_.erase(entry);
}

bool PrefixCache::evict() {
  if (entries_.empty()) return false;
  erase(std::prev(entries_.end()));
  return true;
}

void PrefixCache::clear() {
  while (evict()) {
  }
}

}  // namespace lv::llm
