#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "llm/models/causal_lm.h"
#include "llm/models/packed_batch.h"
#include "pipeline/weights/placement.h"

namespace lv::llm {

/// The model of a checkpoint as a reference implementation runs it that cast a whole model to the
/// type it is stored in: its RoPE frequencies are rounded to that type too. Of a checkpoint that
/// sees, its language model.
std::unique_ptr<CausalLm> load_reference_model(const std::string& path,
                                               const Placement& placement = {});

/// What a reference implementation's outputs are compared with.
struct CausalOutputs {
  at::Tensor logits;          // [B, n, V] float32
  at::Tensor greedy_ids;      // [1, greedy_count] int64: what follows input_ids[0]
  at::Tensor greedy_margins;  // [1, greedy_count]: by how much each was better than the next
};

/// Reads `input_ids` [B, n] int64 in one packed batch, then continues the first row greedily, token
/// by token. As reference implementations do, each step is told the length so far, not the final
/// one.
CausalOutputs causal_outputs(const CausalLm& model, const at::Tensor& input_ids,
                             int64_t greedy_count);

/// The same after rows [B, n, D], which may stand for more than text.
CausalOutputs causal_outputs_after(const CausalLm& model, const at::Tensor& rows,
                                   int64_t greedy_count, const RowsRead& read = {});

}  // namespace lv::llm
