#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "llm/models/causal_lm.h"

namespace lv::llm {

/// The tokens that one sequence adds in a step.
struct SequenceStep {
  SequenceId sequence{};
  at::Tensor embeddings;       // [n, D]
  int64_t first_position = 0;  // of embeddings[0]; the others follow
  int64_t planned_length = 0;
  at::Tensor positions = {};          // [n, axes] int64 instead of first_position; may be undefined
  const WornWeights* worn = nullptr;  // null for nothing
  const RowPruning* pruning = nullptr;  // of the prompt, which this is all of; null for none
};

/// The steps one after another. At least one.
PackedBatch pack(const std::vector<SequenceStep>& steps);

/// How the rows of a prompt are read, and where the answer stands; see EngineRequest.
struct RowsRead {
  at::Tensor positions = {};  // [n, axes]
  std::optional<int64_t> answer_position = {};
  const WornWeights* worn = nullptr;
};

/// Where the first token behind `count` rows stands: behind the last of them, which a frame
/// of a film may lie beyond in time.
int64_t position_behind(int64_t count, const RowsRead& read);

/// Where `count` rows and what is read behind them stand, [length, axes]; undefined where one
/// follows the other.
at::Tensor places_of(int64_t count, const RowsRead& read, int64_t length);

}  // namespace lv::llm
