#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace lv::llm {

/// A sequence that some memory remembers. Never used again once dropped.
enum class SequenceId : uint64_t {};

/// What one layer remembers of one sequence, in the order it was appended. The tensors are views:
/// valid until the next append(), truncate() or drop() of this sequence.
struct KvView {
  at::Tensor keys, values;  // [m, Hkv, Dh]
  at::Tensor positions;     // [m] int64
};

/// Owns the keys and values of all sequences, and is the only one that knows how they lie in
/// memory. Not thread-safe. An id that is not known throws kInternal.
class KvStore {
 public:
  virtual ~KvStore() = default;

  /// A new, empty sequence. `expected_tokens` is a hint that saves copies when it grows.
  virtual SequenceId create(int64_t expected_tokens) = 0;

  /// Appends n tokens to one layer: keys and values [n, Hkv, Dh], positions [n] int64.
  virtual void append(SequenceId sequence, int64_t layer, const at::Tensor& keys,
                      const at::Tensor& values, const at::Tensor& positions) = 0;

  virtual KvView view(SequenceId sequence, int64_t layer) const = 0;
  virtual int64_t length(SequenceId sequence, int64_t layer) const = 0;

  /// Forgets all but the first `tokens` of each layer; a layer that has fewer keeps them.
  virtual void truncate(SequenceId sequence, int64_t tokens) = 0;

  /// A new sequence that starts with the first `tokens` of another and shares nothing it may write.
  virtual SequenceId fork(SequenceId sequence, int64_t tokens) = 0;

  /// Forgets a sequence and gives its memory back.
  virtual void drop(SequenceId sequence) = 0;

  virtual int64_t sequence_count() const = 0;
  virtual int64_t bytes() const = 0;  // allocated for keys and values
};

struct KvShape {
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};

/// One contiguous run of memory for each sequence and layer, doubled when it is full. Without heads
/// it only gives sequences their names, for models that remember no keys.
std::unique_ptr<KvStore> make_dense_kv_store(KvShape shape);

}  // namespace lv::llm
