#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/engine/ngram_draft.h"
#include "llm/engine/prefix_cache.h"
#include "llm/engine/sampler.h"
#include "llm/models/packed_batch.h"

namespace lv::llm {

/// One answer in the making.
struct Run {
  Run(EngineRequest asked, int64_t vocabulary, bool guessing)
      : request(std::move(asked)),
        rows{request.embeddings, request.positions, std::move(request.row_keys)},
        sampler(request.options, vocabulary, request.constraint) {
    planned_length = std::min(prompt() + request.options.max_tokens, request.context_tokens);
    sampler.observe(request.prompt_ids);
    if (guessing) guesses.observe(request.prompt_ids);
    answer_shift =
        position_behind(prompt(), {request.positions, request.answer_position}) - prompt();
  }

  int64_t prompt() const { return request.embeddings.size(0); }
  bool reading_prompt() const { return length < prompt(); }
  int64_t known() const { return prompt() + static_cast<int64_t>(answer.size()); }
  /// Rows to read before the next token can be chosen.
  int64_t unread() const { return known() - length; }

  // Of the engine's thread alone.
  EngineRequest request;  // without row_keys, which are with the rows
  PromptRows rows;        // of the prompt
  Sampler sampler;
  NgramDraft guesses;
  std::vector<int64_t> draft;  // read with the answer's last token in the step under way
  std::optional<SequenceId> sequence;
  int64_t planned_length = 0;
  int64_t length = 0;        // rows that the model has read
  int64_t answer_shift = 0;  // from how many tokens stand before an answer's token to its position
  std::vector<int64_t> answer;  // read again if its memory was taken

  // Of whoever holds the engine's mutex.
  std::deque<int64_t> ready;
  FinishReason finish = FinishReason::kNone;
  int64_t cached = 0;
  std::exception_ptr problem;
  bool ended = false;
  bool cancelled = false;
  std::condition_variable changed;
};
using RunPtr = std::shared_ptr<Run>;

}  // namespace lv::llm
