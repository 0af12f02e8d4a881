#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>

#include "llm/kv/kv_store.h"

namespace lv::llm {

/// States of fixed size that recurrent mixers keep for each sequence and layer, by name.
/// Not thread-safe.
class StateStore {
 public:
  /// The state, or an undefined tensor if none was set.
  at::Tensor get(SequenceId sequence, int64_t layer, std::string_view name) const;
  void set(SequenceId sequence, int64_t layer, std::string_view name, at::Tensor state);
  /// Forgets all states of a sequence.
  void drop(SequenceId sequence);

 private:
  std::map<SequenceId, std::map<std::tuple<int64_t, std::string>, at::Tensor>> states_;
};

/// What sequences remember while a model reads them.
struct Memory {
  KvStore& kv;
  StateStore& states;
};

}  // namespace lv::llm
