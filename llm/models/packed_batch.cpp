#include "llm/models/packed_batch.h"

#include <ATen/ATen.h>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv::llm {

void check_batch(const PackedBatch& batch, int64_t width) {
  check_shape(batch.embeddings, "batch.embeddings", {-1, width});
  const auto count = static_cast<int64_t>(batch.sequences.size());
  const int64_t rows = batch.embeddings.size(0);
  if (batch.positions.defined() && batch.positions.dim() == 2) {
    check_shape(batch.positions, "batch.positions", {rows, -1});
  } else {
    check_shape(batch.positions, "batch.positions", {rows});
  }
  check_shape(batch.offsets, "batch.offsets", {count + 1});
  check_dtype(batch.offsets, "batch.offsets", at::kInt);
  check(static_cast<int64_t>(batch.planned_lengths.size()) == count, ErrorCode::kInvalidArgument,
        "batch.planned_lengths: expected one for each sequence");
  check(batch.pruned.empty() || static_cast<int64_t>(batch.pruned.size()) == count,
        ErrorCode::kInvalidArgument, "batch.pruned: expected one for each sequence, or none");
  check(batch.worn.empty() || static_cast<int64_t>(batch.worn.size()) == count,
        ErrorCode::kInvalidArgument, "batch.worn: expected one for each sequence, or none");
}

void CausalLm::check_prunable(int64_t) const {
  throw Error(ErrorCode::kFailedPrecondition,
              "fastv: expected a model that remembers tokens, got one that keeps states");
}

int64_t position_behind(int64_t count, const RowsRead& read) {
  if (read.answer_position) return *read.answer_position;
  return read.positions.defined() ? read.positions[-1].max().item<int64_t>() + 1 : count;
}

at::Tensor places_of(int64_t count, const RowsRead& read, int64_t length) {
  if (!read.positions.defined()) return {};
  const int64_t next = position_behind(count, read);
  const at::Tensor behind = at::arange(next, next + length - count, at::kLong)
                                .unsqueeze(1)
                                .expand({length - count, read.positions.size(1)});
  return at::cat({read.positions, behind});
}

PackedBatch pack(const std::vector<SequenceStep>& steps) {
  PackedBatch batch;
  int64_t axes = 0;  // 0: one, without a dimension of its own
  for (const SequenceStep& step : steps) {
    if (step.positions.defined()) axes = step.positions.size(1);
  }
  std::vector<at::Tensor> embeddings;
  std::vector<at::Tensor> positions;
  std::vector<int64_t> numbers;  // positions, where they have one axis
  std::vector<int32_t> offsets{0};
  for (const SequenceStep& step : steps) {
    const int64_t count = step.embeddings.size(0);
    embeddings.push_back(step.embeddings);
    if (axes == 0) {
      for (int64_t i = 0; i < count; ++i) numbers.push_back(step.first_position + i);
    } else if (step.positions.defined()) {
      positions.push_back(step.positions);
    } else {
      positions.push_back(at::arange(step.first_position, step.first_position + count, at::kLong)
                              .unsqueeze(1)
                              .expand({count, axes}));
    }
    offsets.push_back(offsets.back() + static_cast<int32_t>(count));
    batch.sequences.push_back(step.sequence);
    batch.planned_lengths.push_back(step.planned_length);
    batch.worn.push_back(step.worn);
    batch.pruned.push_back(step.pruning);
  }
  batch.embeddings = embeddings.size() == 1 ? embeddings[0] : at::cat(embeddings);
  batch.offsets = at::tensor(offsets, at::kInt);
  const at::Device device = batch.embeddings.device();
  batch.positions = axes == 0 ? sent(numbers, device) : at::cat(positions).to(device);
  return batch;
}

}  // namespace lv::llm
