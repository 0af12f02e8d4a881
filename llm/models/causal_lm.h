#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "llm/kv/state_store.h"

namespace lv::llm {

struct RowPruning;
class WornWeights;

/// Sequences of different lengths in one forward pass, nothing padded.
struct PackedBatch {
  at::Tensor embeddings;              // [n, D]
  at::Tensor offsets;                 // [S + 1] int32 on the CPU; sequence s owns rows
                                      // offsets[s] .. offsets[s + 1]
  at::Tensor positions;               // [n] int64, or [n, axes] where one place has several
  std::vector<SequenceId> sequences;  // [S]
  // [S]: how long each sequence is going to be. Position embeddings that depend on it need one
  // value for all steps of a sequence.
  std::vector<int64_t> planned_lengths;
  // [S], or empty for nobody: what each sequence wears, null for nothing; see worn_weights.h.
  std::vector<const WornWeights*> worn;
  // [S], or empty for nobody: which of these rows the later layers do without, null for none; see
  // row_pruning.h. Hidden states of the others are zero.
  std::vector<const RowPruning*> pruned;
};

/// Throws kInvalidArgument unless the fields of a batch fit together and its rows are `width` wide.
void check_batch(const PackedBatch& batch, int64_t width);

struct ModelShape {
  int64_t layers = 0;
  int64_t width = 0;  // D
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;
  int64_t vocabulary = 0;
  int64_t max_positions = 0;          // that the checkpoint was trained for
  int64_t position_axes = 1;          // 3: tokens of pictures stand at a time, a row and a column
  at::ScalarType dtype = at::kFloat;  // of embeddings, hidden states, keys and values
  at::Device device = at::kCPU;
  std::vector<int64_t> kv_groups = {};  // see KvShape
  bool depends_on_length = false;       // whether keys depend on a sequence's planned length
  int64_t tapped_rows = 0;  // of a prompt's end: settle() asks QueryTaps for their queries

  std::optional<KiviFormat> kivi = {};  // see KvShape, as is what follows
  std::vector<bool> coded = {};

  KvShape kv() const {
    KvShape shape{layers, kv_heads, head_size, dtype, device, kv_groups};
    shape.kivi = kivi;
    shape.coded = coded;
    return shape;
  }
};

/// A language model that predicts the next token. Immutable after construction, shared by all
/// sequences: what they remember lives in Memory.
class CausalLm {
 public:
  virtual ~CausalLm() = default;
  virtual ModelShape shape() const = 0;

  /// [n] int64, on the CPU or the model's device -> [n, D]. Throws kInvalidArgument on an id
  /// outside the vocabulary.
  virtual at::Tensor embed(const at::Tensor& ids) const = 0;

  /// Reads the batch after what `memory` holds of its sequences, and adds it there: [n, D] ->
  /// hidden states [n, D]. After a throw the memory of the batch's sequences is undefined.
  virtual at::Tensor forward(const PackedBatch& batch, Memory memory) const = 0;

  /// What the first `layers` layers alone make of the batch: [n, D] -> [n, D], not normed. Only
  /// they remember it. Throws kUnimplemented for models without such layers.
  virtual at::Tensor states(const PackedBatch& batch, Memory memory, int64_t layers) const;

  /// After a step: gives back what no later token of the sequence reads, and once its prompt was
  /// read (`prompt_read`), what the plan does not retain of it. A fork made before keeps it.
  virtual void settle(SequenceId, int64_t /*planned_length*/, Memory, bool /*prompt_read*/) const {}

  /// Throws unless rows of prompts can be left out from layer `layer` on, kInvalidArgument if that
  /// is none of the model's and kFailedPrecondition if something else is in the way.
  virtual void check_prunable(int64_t layer) const;

  /// Hidden states [k, D] -> scores of the next token [k, V], float32.
  virtual at::Tensor logits(const at::Tensor& hidden) const = 0;
};

}  // namespace lv::llm
