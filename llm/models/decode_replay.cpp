#include "llm/models/decode_replay.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kRowStep = 8;    // padded numbers of sequences beyond the first powers of two
constexpr int64_t kMinPages = 64;  // the fewest that a recording has room for
constexpr size_t kMostTapes = 32;

int64_t padded_rows(int64_t rows) {
  if (rows <= kRowStep) return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return (rows + kRowStep - 1) / kRowStep * kRowStep;
}

int64_t padded_pages(int64_t pages) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(pages, kMinPages))));
}

/// Rooms by sequence, then layer -> plans [layers, rows, plan_size(pages)], pinned for a GPU.
at::Tensor plans_of(const std::vector<std::vector<KvStore::Room>>& rooms,
                    std::span<const KeySpan> spans, int64_t rows, int64_t pages,
                    at::Device device) {
  const auto layers = static_cast<int64_t>(spans.size());
  const int64_t size = plan_size(pages);
  auto options = at::TensorOptions(at::kInt);
  if (!device.is_cpu()) options = options.pinned_memory(true);
  at::Tensor plans = at::empty({layers, rows, size}, options);
  auto* plan = plans.mutable_data_ptr<int32_t>();
  for (size_t layer = 0; layer < spans.size(); ++layer) {
    for (int64_t row = 0; row < rows; ++row, plan += size) {
      if (row >= static_cast<int64_t>(rooms.size())) {
        write_plan(plan, {}, {});
        continue;
      }
      const auto& [table, tokens] = rooms[static_cast<size_t>(row)][layer];
      const TokenRange all{0, tokens};
      if (spans[layer].all()) {
        write_plan(plan, {&all, 1}, table);
      } else {
        write_plan(plan, spans[layer].seen({tokens - 1, tokens}), table);
      }
    }
  }
  return plans;
}

}  // namespace

struct DecodeReplay::Tape {
  Key key;
  at::Tensor embeddings, positions;  // of the step, where the recording reads them
  int64_t splits = 1;
  std::unique_ptr<Recording> recording = {};
  bool recordable = true;
};

DecodeReplay::DecodeReplay(bool records) : records_(records) {}
DecodeReplay::~DecodeReplay() = default;

DecodeReplay::Tape& DecodeReplay::tape_for(const Key& key, const PackedBatch& batch,
                                           const KvStore& kv) {
  const auto found = std::ranges::find(tapes_, key, &Tape::key);
  if (found != tapes_.end()) {
    tapes_.splice(tapes_.begin(), tapes_, found);
    return tapes_.front();
  }
  if (tapes_.size() == kMostTapes) tapes_.pop_back();
  std::vector<int64_t> places{key.rows};
  if (key.axes > 0) places.push_back(key.axes);
  const KvView pages = kv.pages(0);
  tapes_.push_front({key,
                     at::zeros({key.rows, batch.embeddings.size(1)}, batch.embeddings.options()),
                     at::zeros(places, batch.positions.options()),
                     decode_splits(key.rows, pages.keys.size(2), key.pages * pages.slots())});
  return tapes_.front();
}

at::Tensor DecodeReplay::run(const PackedBatch& batch, KvStore& kv, std::span<const KeySpan> spans,
                             const Compute& compute) {
  const int64_t count = batch.embeddings.size(0);
  check(count == static_cast<int64_t>(batch.sequences.size()) && count > 0 && count <= kMostRows,
        ErrorCode::kInternal,
        "decode: expected one row for each of 1 to " + std::to_string(kMostRows) + " sequences");
  std::vector<std::vector<KvStore::Room>> rooms;
  size_t most_pages = 0;
  for (const SequenceId sequence : batch.sequences) {
    rooms.push_back(kv.extend(sequence));
    for (const KvStore::Room& room : rooms.back()) {
      most_pages = std::max(most_pages, room.table.size());
    }
  }
  const Key key{padded_rows(count), padded_pages(static_cast<int64_t>(most_pages)),
                batch.positions.dim() == 1 ? 0 : batch.positions.size(1),
                kv.pages(0).keys.const_data_ptr()};
  Tape& tape = tape_for(key, batch, kv);
  tape.embeddings.slice(0, 0, count).copy_(batch.embeddings);
  tape.positions.slice(0, 0, count).copy_(batch.positions);
  const at::Tensor plans = plans_of(rooms, spans, key.rows, key.pages, tape.embeddings.device())
                               .to(tape.embeddings.device(), /*non_blocking=*/true);
  const auto step = [&](const at::Tensor& given) {
    return compute({tape.embeddings, tape.positions, given, tape.splits});
  };
  if (records_ && !tape.recording && tape.recordable) {
    tape.recording =
        record([&](const at::Tensor& given) { return std::vector{step(given)}; }, plans);
    tape.recordable = tape.recording != nullptr;
  }
  if (!tape.recording) return step(plans).slice(0, 0, count);
  return tape.recording->run(plans).front().slice(0, 0, count).clone();
}

int64_t DecodeReplay::recordings() const {
  return std::ranges::count_if(tapes_, [](const Tape& tape) { return tape.recording != nullptr; });
}

}  // namespace lv::llm
