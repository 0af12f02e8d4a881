#include "llm/models/packed_batch.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {

void check_batch(const PackedBatch& batch, int64_t width) {
  check_shape(batch.embeddings, "batch.embeddings", {-1, width});
  const auto count = static_cast<int64_t>(batch.sequences.size());
  check_shape(batch.positions, "batch.positions", {batch.embeddings.size(0)});
  check_shape(batch.offsets, "batch.offsets", {count + 1});
  check_dtype(batch.offsets, "batch.offsets", at::kInt);
  check(static_cast<int64_t>(batch.planned_lengths.size()) == count, ErrorCode::kInvalidArgument,
        "batch.planned_lengths: expected one for each sequence");
}

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
