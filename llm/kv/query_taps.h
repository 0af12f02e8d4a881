#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "llm/kv/kv_store.h"

namespace lv::llm {

/// The last queries of prompts that are being read, by layer: from them and the keys follows
/// exactly what a prompt's end attended to, however many steps it was read in. Forks have none.
/// Not thread-safe.
class QueryTaps {
 public:
  /// From now on the last `window` queries of a sequence are held.
  void open(SequenceId sequence, int64_t window);
  bool is_open(SequenceId sequence) const { return taps_.count(sequence) > 0; }

  /// Further queries [n, H, Dh]. Nothing happens unless the sequence is open.
  void add(SequenceId sequence, int64_t layer, const at::Tensor& queries);

  /// The last queries of a layer [n, H, Dh]. Throws kInternal if there are none.
  const at::Tensor& queries(SequenceId sequence, int64_t layer) const;

  /// Holds nothing of the sequence any more.
  void close(SequenceId sequence) { taps_.erase(sequence); }

 private:
  struct Tap {
    int64_t window = 0;
    std::vector<at::Tensor> layers;
  };
  std::unordered_map<SequenceId, Tap> taps_;
};

}  // namespace lv::llm
