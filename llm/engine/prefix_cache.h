#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "llm/kv/state_store.h"

namespace lv::llm {

/// The rows of a prompt, so that prompts that begin alike can be told.
struct PromptRows {
  at::Tensor embeddings;            // [n, D]
  at::Tensor positions = {};        // [n, axes], or undefined
  std::vector<uint64_t> keys = {};  // [n], equal for equal rows; empty: not to be remembered
};

/// Remembers the keys and values (or states) of prompts that were read, to begin others with: a
/// hash chain over blocks of rows finds the longest common beginning (vLLM's automatic prefix
/// caching), and the rows themselves are compared before it is used, so that no two prompts are
/// taken for one. A cache belongs to one model and plan. Not thread-safe.
class PrefixCache {
 public:
  /// `own_rows`, at least 1: at a prompt's end, which a sequence reads itself in any case.
  PrefixCache(Memory memory, int64_t block_tokens, int64_t own_rows = 1)
      : memory_(memory), block_(block_tokens), own_rows_(own_rows) {}
  ~PrefixCache() { clear(); }
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Match {
    SequenceId sequence{};  // the caller's
    int64_t tokens = 0;
  };
  /// A new sequence that begins with as many whole blocks of the prompt as are known, less its
  /// own rows.
  std::optional<Match> find(const PromptRows& prompt);

  /// Remembers the whole blocks among the first `tokens` rows of a prompt, which `sequence` has
  /// read. A sequence with states is remembered at its last whole block, if they were kept there.
  void add(const PromptRows& prompt, SequenceId sequence, int64_t tokens);

  /// Forgets what was used least recently. False if there was nothing.
  bool evict();
  void clear();

  /// Rows of whole blocks before a prompt's own: where states are worth keeping.
  int64_t reusable(int64_t rows) const {
    return rows > own_rows_ ? (rows - own_rows_) / block_ * block_ : 0;
  }
  /// Rows remembered, those of prompts that begin alike counted for each.
  int64_t tokens() const { return tokens_; }

 private:
  struct Entry {
    SequenceId sequence{};
    PromptRows prompt;
    std::vector<uint64_t> chain;  // a hash for each block and those before it
    int64_t owned = 0;            // of the chain, that lead here
  };
  using Entries = std::list<Entry>;
  struct Place {
    Entries::iterator entry;
    int64_t blocks = 0;
  };

  std::vector<uint64_t> chain_of(const PromptRows& prompt, int64_t rows) const;
  void erase(Entries::iterator entry);

  Memory memory_;
  int64_t block_;
  int64_t own_rows_;
  Entries entries_;  // the most recently used first
  std::unordered_map<uint64_t, Place> places_;
  int64_t tokens_ = 0;
};

}  // namespace lv::llm
