#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "llm/engine/token_constraint.h"
#include "llm/models/causal_lm.h"
#include "llm/retain/row_pruning.h"
#include "pipeline/types/prompt.h"

namespace lv::llm {

/// A prompt as the engine reads it.
struct EngineRequest {
  at::Tensor embeddings;            // [n, D], at least one row
  at::Tensor positions;             // [n, axes] int64 of models whose places have several axes, and
                                    // then the answer follows the last; undefined: 0, 1, ...
  std::vector<int64_t> prompt_ids;  // the text among them, for the repetition penalty
  GenerationOptions options;        // stop words are not looked at here
  std::vector<int64_t> stop_ids;    // tokens that end the answer and are not part of it
  int64_t context_tokens = 0;       // prompt and answer together
  std::shared_ptr<const WornWeights> worn;  // by prompt and answer; null for nothing
  std::optional<int64_t> answer_position;   // of its first token, where it does not just follow
  /// Rows that the later layers do without: then all of the prompt is read in one step, however
  /// many rows, and nothing of it is remembered for others.
  std::optional<RowPruning> pruning;
  /// [n], equal for rows that are equal: later prompts that begin alike need not be read again.
  /// Empty: nothing is remembered.
  std::vector<uint64_t> row_keys;
  std::shared_ptr<TokenConstraint> constraint;  // of this answer alone; null for any token
};

struct EngineLimits {
  int64_t max_sequences = 64;     // read at the same time; the others wait in order
  int64_t max_waiting = 1 << 14;  // further ones are refused
  int64_t step_tokens = 128;      // of prompts read in one step: bounds how long others wait
  int64_t kv_tokens = 0;          // room for keys and values; 0: half of the memory that is free
  /// Of those, for prompts that ended, while nobody else needs the room; 0: none is remembered.
  /// Below 0: half a gigabyte on a CPU, all of them on a GPU.
  int64_t cached_tokens = -1;
  /// Guessed for each answer and step from what stood in its text before, see NgramDraft. Answers
  /// are the same with any number. Models with states guess nothing.
  int64_t draft_tokens = 0;
};

/// What an engine holds, as of the last step.
struct EngineStats {
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t kv_bytes = 0;       // of pages in use
  int64_t cached_tokens = 0;  // of prompts that ended
  int64_t preemptions = 0;    // since the engine began, as what follows
  int64_t drafted_tokens = 0;
  int64_t accepted_tokens = 0;  // of those, that the model would have written
};

/// The tokens of one answer as they come. Destroying it cancels the answer, between two layers if
/// nobody else's tokens are in the step. Not thread-safe.
class TokenStream {
 public:
  virtual ~TokenStream() = default;
  /// Blocks until there is a token; nullopt is the end. Rethrows what went wrong.
  virtual std::optional<int64_t> next() = 0;
  /// Why it ended; kNone before that.
  virtual FinishReason finish() const = 0;
  /// Rows of the prompt that were known already. Final once there is a token.
  virtual int64_t cached_tokens() const = 0;
};

/// Reads and continues many sequences at a time, one packed step after another, on a thread of its
/// own: a token for each sequence that has read its prompt, and a piece of the prompts of others.
/// It does not wait for readers, so that one that stops reading holds up nobody. When the memory
/// for keys and values is full, what began last gives its own back and is read again later.
/// Thread-safe. Streams must not outlive it.
class Engine {
 public:
  explicit Engine(std::shared_ptr<const CausalLm> model, EngineLimits limits = {});
  ~Engine();

  /// Throws kInvalidArgument on an empty prompt, kOutOfRange on one that leaves no room for a
  /// token, kResourceExhausted on more than the memory holds and if too many wait.
  std::unique_ptr<TokenStream> start(EngineRequest request);

  EngineStats stats() const;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

}  // namespace lv::llm
