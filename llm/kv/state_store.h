#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "llm/kv/kv_store.h"
#include "llm/kv/query_taps.h"

namespace lv::llm {

class DecodeReplay;

/// States of fixed size that recurrent mixers keep for each sequence and layer, by name. A state
/// stands for all tokens that were read, so a sequence can go back only to where keep() was called.
/// A sequence that has no states may be forked, truncated and dropped like any other.
/// Not thread-safe.
class StateStore {
 public:
  /// The state, or an undefined tensor if none was set.
  at::Tensor get(SequenceId sequence, int64_t layer, std::string_view name) const;
  /// A tensor that was set is never written again: forks share it.
  void set(SequenceId sequence, int64_t layer, std::string_view name, at::Tensor state);

  /// Notes that the states stand for so many more tokens.
  void advance(SequenceId sequence, int64_t tokens);
  /// Tokens that the states stand for.
  int64_t length(SequenceId sequence) const;

  /// Holds on to the states as they are, for truncate() and fork(). Costs no copy.
  void keep(SequenceId sequence);

  /// Whether truncate() and fork() may go back to the first `tokens`.
  bool reaches(SequenceId sequence, int64_t tokens) const;

  /// Goes back to the first `tokens`. Throws kFailedPrecondition unless nothing, all, or what
  /// keep() held stands for so many.
  void truncate(SequenceId sequence, int64_t tokens);
  /// Gives `copy`, which has none yet, the states of the first `tokens`; throws likewise.
  void fork(SequenceId sequence, SequenceId copy, int64_t tokens);

  /// Forgets all states of a sequence.
  void drop(SequenceId sequence);

  int64_t bytes() const;  // of the states that get() gives

 private:
  using States = std::map<std::pair<int64_t, std::string>, at::Tensor>;
  struct Sequence {
    int64_t length = 0;
    States now;
    std::map<int64_t, States> kept;  // by length
  };

  std::map<SequenceId, Sequence> sequences_;
};

/// What sequences remember while a model reads them.
struct Memory {
  KvStore& kv;
  StateStore& states;
  QueryTaps* taps = nullptr;       // null: nobody looks at a prompt's last queries
  DecodeReplay* replay = nullptr;  // null: steps of one token a sequence are like any other
};

/// A new sequence that starts with the first `tokens` of another, in both memories. Throws what
/// StateStore::truncate() throws, and then leaves nothing behind.
SequenceId fork(Memory memory, SequenceId sequence, int64_t tokens);
/// Forgets all but the first `tokens` in both memories; throws before anything is forgotten.
void truncate(Memory memory, SequenceId sequence, int64_t tokens);
void drop(Memory memory, SequenceId sequence);

}  // namespace lv::llm
