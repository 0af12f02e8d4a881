#include "llm/kv/state_store.h"

#include <utility>

namespace lv::llm {

at::Tensor StateStore::get(SequenceId sequence, int64_t layer, std::string_view name) const {
  const auto of_sequence = states_.find(sequence);
  if (of_sequence == states_.end()) return {};
  const auto state = of_sequence->second.find({layer, std::string(name)});
  return state == of_sequence->second.end() ? at::Tensor() : state->second;
}

void StateStore::set(SequenceId sequence, int64_t layer, std::string_view name, at::Tensor state) {
  states_[sequence][{layer, std::string(name)}] = std::move(state);
}

void StateStore::drop(SequenceId sequence) { states_.erase(sequence); }

}  // namespace lv::llm
