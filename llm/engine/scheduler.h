#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/engine/prefix_cache.h"
#include "llm/engine/run.h"
#include "llm/kv/state_store.h"
#include "llm/models/causal_lm.h"
#include "llm/models/decode_replay.h"
#include "llm/models/packed_batch.h"

namespace lv::llm {

/// Decides who reads what in the next step, and owns the memory of what was read (continuous
/// batching, Orca, OSDI 2022, section 3.2; chunked prompts, Sarathi, arXiv 2308.16369). Runs go in
/// the order in which they came. Not thread-safe.
class Scheduler {
 public:
  Scheduler(std::shared_ptr<const CausalLm> model, const EngineLimits& limits);

  int64_t capacity_tokens() const { return kv_.capacity_tokens(); }
  /// How many tokens are guessed for an answer.
  int64_t draft_tokens() const { return draft_tokens_; }
  Memory memory() { return {kv_, states_, &taps_, shape_.device.is_cpu() ? nullptr : &replay_}; }

  /// Behind all that wait.
  void add(RunPtr run) { waiting_.push_back(std::move(run)); }
  /// Forgets the runs that `gone` names and lets in those that have room. Writes what of a prompt
  /// was known: the caller holds the engine's mutex.
  void turn(const std::function<bool(const Run&)>& gone);
  const std::vector<RunPtr>& running() const { return running_; }

  /// What each sequence reads now: its last token with a guess, or the next piece of its prompt
  /// while the step has room.
  struct Step {
    std::vector<SequenceStep> pieces;
    std::vector<RunPtr> runs;  // one a piece
  };
  Step plan();

  /// The model has read a piece: so many rows, of which the last may be a guess. Remembers prompts
  /// for others.
  void was_read(Run& run, int64_t rows);
  /// So many tokens were guessed for an answer, and these of them were right.
  void was_guessed(int64_t drafted, int64_t accepted);
  /// Gives back what was read in vain and what no later token sees. A prompt that others may go on
  /// from keeps all of its keys until it is remembered.
  void settle(const Run& run);

  /// What is held now, and what was counted so far.
  EngineStats stats() const;

 private:
  void admit();
  void open(Run& run);
  void forget(Run& run);
  int64_t rows_to_read(const Run& run, int64_t room) const;
  void guess(Run& run) const;
  SequenceStep piece_of(const Run& run, int64_t count, std::vector<int64_t>& ids) const;
  int64_t pages_for(const Run& run, int64_t count) const;
  bool make_room(const RunPtr& run, int64_t count, int64_t reserved,
                 const std::vector<RunPtr>& taken);

  const std::shared_ptr<const CausalLm> model_;
  const ModelShape shape_;
  const EngineLimits limits_;
  KvStore kv_;
  StateStore states_;
  QueryTaps taps_;
  DecodeReplay replay_;
  PrefixCache cache_;
  const int64_t draft_tokens_;
  const int64_t cache_tokens_;
  std::deque<RunPtr> waiting_;
  std::vector<RunPtr> running_;
  EngineStats counted_;  // what is counted since the engine began
};

}  // namespace lv::llm
