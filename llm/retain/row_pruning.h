#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "pipeline/types/prompt.h"

namespace lv::llm {

/// Rows of a prompt that its layers before `layer` read, and of which the others read `keep`: those
/// that the prompt's last row attended to most in layer - 1. They keep their positions, and nothing
/// of the others is remembered in these layers. The prompt is read in one step.
/// Reference: Chen et al., An Image is Worth 1/2 Tokens After Layer 2: Plug-and-Play Inference
/// Acceleration for Large Vision-Language Models, ECCV 2024, section 4.1.
struct RowPruning {
  int64_t layer = 0;  // at least 1
  int64_t keep = 0;   // fewer than rows
  at::Tensor rows;    // [k] int64 ascending, on the CPU, without the last of the prompt
};

/// What the visual tokens of a prompt ask for; nothing if all layers are to read all of them.
/// Throws kInvalidArgument where they ask for different things.
std::optional<RowPruning> row_pruning(const TokenSequence& sequence);

/// The rows of a prompt that are left, from how much each was attended to [n]: [m] int64 ascending,
/// on its device. Of equals the first are kept.
at::Tensor rows_left(const RowPruning& pruning, const at::Tensor& attended);

}  // namespace lv::llm
