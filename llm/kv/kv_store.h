#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "llm/kv/kivi.h"
#include "llm/kv/page_pool.h"

namespace lv::llm {

/// A sequence that some memory remembers. Never used again once dropped.
enum class SequenceId : uint64_t {};

/// Tokens `begin` .. `end` of a sequence, counted as they were appended.
struct TokenRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
};

struct KvShape {
  int64_t layers = 0;
  int64_t kv_heads = 0;
  int64_t head_size = 0;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
  /// By layer, how many groups its heads are in; each group remembers tokens of its own. Divides
  /// kv_heads. Empty: one group in every layer.
  std::vector<int64_t> groups = {};
  int64_t page_tokens = 16;  // of all heads of a layer
  /// How layers code what is not among their newest tokens; none: nothing is coded. Such layers
  /// have one group.
  std::optional<KiviFormat> kivi = {};
  std::vector<bool> coded = {};  // whether each layer does; empty: all do

  bool codes(int64_t layer) const {
    return kivi && (coded.empty() || coded[static_cast<size_t>(layer)]);
  }

  /// Bytes of a token in all layers.
  int64_t token_bytes() const;
};

/// The first tokens of a layer that has coded them: page table[i] holds the tokens from i times the
/// format's group on.
struct CodedTokens {
  at::Tensor keys, values;  // [pages, page_bytes] uint8
  std::span<const int32_t> table;
  KiviFormat format;

  int64_t tokens() const { return static_cast<int64_t>(table.size()) * format.group; }
};

/// What one group of heads remembers of one sequence. After the coded tokens, the i-th lies in slot
/// i % slots of page table[i / slots]; a page of -1 was forgotten. Valid until the store changes.
struct KvView {
  at::Tensor keys, values;  // [pages, slots, heads of the group, Dh]
  std::span<const int32_t> table;
  int64_t tokens = 0;
  CodedTokens coded = {};

  int64_t slots() const { return keys.size(1); }
};

/// Keys and values of some tokens, one after another.
struct KvRows {
  at::Tensor keys, values;  // [m, heads of the group, Dh]
};

/// The tokens of each range, copied together; ranges ascend. Throws kInternal on a token that was
/// forgotten.
KvRows gather(const KvView& view, std::span<const TokenRange> ranges);

/// Owns the keys and values of all sequences, and is the only one that knows how they lie in
/// memory: in pages that sequences share until one of them writes (PagedAttention, arXiv
/// 2309.06180, section 4.2). A page holds some tokens of all heads of a layer, or more tokens of a
/// group of heads. Not thread-safe. An id that is not known throws kInternal.
class KvStore {
 public:
  /// Room for so many tokens in every layer, not coded; 0: as many as there will be. Without heads
  /// the store only gives sequences their names, for models that remember no keys.
  explicit KvStore(KvShape shape, int64_t capacity_tokens = 0);

  /// A new, empty sequence.
  SequenceId create();

  /// Appends n tokens of several sequences to one layer: keys and values [n, Hkv, Dh], of which
  /// rows offsets[i] .. offsets[i + 1] are the i-th's. Throws kResourceExhausted if no pages are
  /// left, and has appended to some then.
  void append(std::span<const SequenceId> sequences, std::span<const int32_t> offsets,
              int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  /// The same of one sequence.
  void append(SequenceId sequence, int64_t layer, const at::Tensor& keys, const at::Tensor& values);

  /// Room for one token more of a sequence in every layer, each of one group, which the caller
  /// writes to its last slot: the layers' views, but for the tensors. Throws kResourceExhausted.
  struct Room {
    std::span<const int32_t> table;
    int64_t tokens = 0;  // with that one
  };
  std::vector<Room> extend(SequenceId sequence);

  /// Counts `tokens` more as appended to a layer, which remembers nothing of them. What it holds of
  /// the sequence is what was chosen from all so far.
  void leave_out(SequenceId sequence, int64_t layer, int64_t tokens);

  KvView view(SequenceId sequence, int64_t layer, int64_t group = 0) const;
  /// All pages of a layer of one group: view() without a sequence. With a capacity they never move.
  KvView pages(int64_t layer) const;
  int64_t groups(int64_t layer) const;
  /// Tokens that a layer's first group remembers or has forgotten.
  int64_t length(SequenceId sequence, int64_t layer) const;

  /// Gives back all but the first `tokens`, counted as they were appended; a layer that has fewer
  /// keeps them. Throws kFailedPrecondition, and changes nothing, where the end would lie among
  /// tokens that are forgotten or were chosen from, or within a page of coded ones.
  void truncate(SequenceId sequence, int64_t tokens);

  /// Gives back the pages of a group that lie wholly within `range`. Nobody may read those tokens
  /// again; the others keep their places. Not of a layer that codes.
  void forget(SequenceId sequence, int64_t layer, int64_t group, TokenRange range);

  /// Keeps of a group only the tokens `kept` [k] int64, ascending, which become its first k. Takes
  /// pages for those that others share: at most shared_pages().
  void compact(SequenceId sequence, int64_t layer, int64_t group, const at::Tensor& kept);

  /// Codes, in layers that do, whole pages of the oldest tokens beyond the residual: until then
  /// they are read as they came.
  void code(SequenceId sequence);

  /// A new sequence that starts with the first `tokens` of another. It shares pages until either
  /// writes to them.
  SequenceId fork(SequenceId sequence, int64_t tokens);

  /// Forgets a sequence and gives its memory back.
  void drop(SequenceId sequence);

  /// Pages that appending `tokens` to every layer would take; those of a new sequence.
  int64_t pages_to_append(SequenceId sequence, int64_t tokens) const;
  int64_t pages_for_new(int64_t tokens) const;
  /// Pages of a sequence that others own too.
  int64_t shared_pages(SequenceId sequence) const;
  /// Pages that may be taken. Codes count as the pages that would hold as many bytes, so that all
  /// memory in use stays within the store's size; below 0 where coding shared tokens went beyond.
  int64_t free_pages() const;
  /// Tokens of one sequence that would fit if there were no other.
  int64_t capacity_tokens() const { return capacity_tokens_; }

  int64_t sequence_count() const { return static_cast<int64_t>(sequences_.size()); }
  int64_t bytes() const {  // of pages in use
    return pool_.used_pages() * pool_.page_bytes() + codes_.used_pages() * codes_.page_bytes();
  }

 private:
  struct Table {
    std::vector<int32_t> pages;  // of what is not coded
    std::vector<int32_t> coded;
    int64_t length = 0;
    int64_t compacted = 0;  // of the tokens appended: so many at the beginning are now
    int64_t chosen = 0;     // these

    /// What is left of the first `tokens` that were appended.
    int64_t left_of(int64_t tokens) const {
      return tokens == 0 ? 0 : std::min(length, tokens - compacted + chosen);
    }
  };
  using Sequence = std::vector<Table>;  // by first_table_ of the layer, plus the group

  Sequence& find(SequenceId sequence);
  const Sequence& find(SequenceId sequence) const;
  size_t table_at(int64_t layer, int64_t group) const;
  int64_t slots(int64_t layer) const { return shape_.page_tokens * groups(layer); }
  int64_t coded_tokens(const Table& table) const {
    return table.coded.empty() ? 0 : static_cast<int64_t>(table.coded.size()) * shape_.kivi->group;
  }
  int64_t uncoded(const Table& table) const { return table.length - coded_tokens(table); }
  void code(Table& table, int64_t layer, const KvView& view);
  at::Tensor shaped(const at::Tensor& pool, int64_t layer) const;
  void make_writable(Table& table, int64_t slots, int64_t added);
  void add_places(const Table& table, int64_t slots, int64_t count,
                  std::vector<int64_t>& places) const;
  void write(const std::vector<int64_t>& places, int64_t layer, const at::Tensor& keys,
             const at::Tensor& values);
  void check_reaches(const Sequence& tables, int64_t tokens) const;
  void shrink(Table& table, int64_t length, int64_t slots);

  KvShape shape_;
  int64_t capacity_tokens_;
  std::vector<size_t> first_table_;  // [layers + 1]
  PagePool pool_;
  PagePool codes_;
  std::unordered_map<SequenceId, Sequence> sequences_;
  uint64_t next_ = 0;
};

}  // namespace lv::llm
