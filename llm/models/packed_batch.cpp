#include "llm/models/packed_batch.h"

#include <ATen/ATen.h>

namespace lv::llm {

PackedBatch pack(const std::vector<SequenceStep>& steps) {
  PackedBatch batch;
  std::vector<at::Tensor> embeddings;
  std::vector<int64_t> positions;
  std::vector<int32_t> offsets{0};
  for (const SequenceStep& step : steps) {
    embeddings.push_back(step.embeddings);
    for (int64_t i = 0; i < step.embeddings.size(0); ++i) {
      positions.push_back(step.first_position + i);
    }
    offsets.push_back(static_cast<int32_t>(positions.size()));
    batch.sequences.push_back(step.sequence);
    batch.planned_lengths.push_back(step.planned_length);
  }
  batch.embeddings = embeddings.size() == 1 ? embeddings[0] : at::cat(embeddings);
  batch.offsets = at::tensor(offsets, at::kInt);
  batch.positions = at::tensor(positions, at::kLong).to(batch.embeddings.device());
  return batch;
}

}  // namespace lv::llm
