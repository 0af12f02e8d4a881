#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "llm/kv/kv_store.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kSmallestRun = 64;
constexpr int64_t kLargestHint = 8192;  // beyond it, memory grows only as it is needed

/// The first `length` rows hold tokens.
struct Run {
  at::Tensor keys, values, positions;
  int64_t length = 0;
  int64_t capacity = 0;
};

struct Sequence {
  std::vector<Run> layers;
  int64_t expected_tokens = 0;
};

class DenseKvStore : public KvStore {
 public:
  explicit DenseKvStore(KvShape shape) : shape_(shape) {}

  SequenceId create(int64_t expected_tokens) override {
    const auto id = static_cast<SequenceId>(next_++);
    sequences_[id] = {std::vector<Run>(static_cast<size_t>(shape_.layers)),
                      std::min(expected_tokens, kLargestHint)};
    return id;
  }

  void append(SequenceId sequence, int64_t layer, const at::Tensor& keys, const at::Tensor& values,
              const at::Tensor& positions) override {
    const int64_t n = positions.size(0);
    check_shape(keys, "keys", {n, shape_.kv_heads, shape_.head_size});
    check_shape(values, "values", {n, shape_.kv_heads, shape_.head_size});
    if (n == 0) return;
    Sequence& owner = find(sequence);
    Run& run = const_cast<Run&>(layer_of(owner, layer));
    reserve(run, run.length + n, owner.expected_tokens);
    const int64_t end = run.length + n;
    run.keys.slice(0, run.length, end).copy_(keys);
    run.values.slice(0, run.length, end).copy_(values);
    run.positions.slice(0, run.length, end).copy_(positions);
    run.length = end;
  }

  KvView view(SequenceId sequence, int64_t layer) const override {
    const Run& run = layer_of(find(sequence), layer);
    if (run.capacity == 0) {
      const at::Tensor none = empty_rows(0);
      return {none, none, at::empty({0}, at::device(shape_.device).dtype(at::kLong))};
    }
    return {run.keys.slice(0, 0, run.length), run.values.slice(0, 0, run.length),
            run.positions.slice(0, 0, run.length)};
  }

  int64_t length(SequenceId sequence, int64_t layer) const override {
    return layer_of(find(sequence), layer).length;
  }

  void truncate(SequenceId sequence, int64_t tokens) override {
    check(tokens >= 0, ErrorCode::kInternal, "kv store: cannot keep fewer than no tokens");
    for (Run& run : find(sequence).layers) run.length = std::min(run.length, tokens);
  }

  SequenceId fork(SequenceId sequence, int64_t tokens) override {
    const int64_t expected = find(sequence).expected_tokens;
    const SequenceId copy = create(expected);
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      const KvView all = view(sequence, layer);
      const int64_t kept = std::min(tokens, all.positions.size(0));
      append(copy, layer, all.keys.slice(0, 0, kept), all.values.slice(0, 0, kept),
             all.positions.slice(0, 0, kept));
    }
    return copy;
  }

  void drop(SequenceId sequence) override {
    check(sequences_.erase(sequence) == 1, ErrorCode::kInternal, unknown(sequence));
  }

  int64_t sequence_count() const override { return static_cast<int64_t>(sequences_.size()); }

  int64_t bytes() const override {
    int64_t total = 0;
    for (const auto& [id, sequence] : sequences_) {
      for (const Run& run : sequence.layers) {
        if (run.capacity > 0)
          total += static_cast<int64_t>(run.keys.nbytes() + run.values.nbytes());
      }
    }
    return total;
  }

 private:
  static std::string unknown(SequenceId sequence) {
    return "kv store: no sequence " + std::to_string(static_cast<uint64_t>(sequence));
  }

  const Sequence& find(SequenceId sequence) const {
    const auto it = sequences_.find(sequence);
    check(it != sequences_.end(), ErrorCode::kInternal, unknown(sequence));
    return it->second;
  }
  Sequence& find(SequenceId sequence) {
    return const_cast<Sequence&>(std::as_const(*this).find(sequence));
  }

  const Run& layer_of(const Sequence& sequence, int64_t layer) const {
    check(layer >= 0 && layer < shape_.layers, ErrorCode::kInternal,
          "kv store: no layer " + std::to_string(layer));
    return sequence.layers[static_cast<size_t>(layer)];
  }

  at::Tensor empty_rows(int64_t rows) const {
    return at::empty({rows, shape_.kv_heads, shape_.head_size},
                     at::device(shape_.device).dtype(shape_.dtype));
  }

  void reserve(Run& run, int64_t tokens, int64_t expected) const {
    if (tokens <= run.capacity) return;
    const int64_t capacity = std::max({tokens, expected, 2 * run.capacity, kSmallestRun});
    Run grown{empty_rows(capacity), empty_rows(capacity),
              at::empty({capacity}, at::device(shape_.device).dtype(at::kLong)), run.length,
              capacity};
    if (run.length > 0) {
      grown.keys.slice(0, 0, run.length).copy_(run.keys.slice(0, 0, run.length));
      grown.values.slice(0, 0, run.length).copy_(run.values.slice(0, 0, run.length));
      grown.positions.slice(0, 0, run.length).copy_(run.positions.slice(0, 0, run.length));
    }
    run = std::move(grown);
  }

  KvShape shape_;
  std::unordered_map<SequenceId, Sequence> sequences_;
  uint64_t next_ = 0;
};

}  // namespace

std::unique_ptr<KvStore> make_dense_kv_store(KvShape shape) {
  check(shape.layers >= 0 && shape.kv_heads >= 0 && shape.head_size >= 0, ErrorCode::kInternal,
        "kv store: expected no negative sizes");
  return std::make_unique<DenseKvStore>(shape);
}

}  // namespace lv::llm
