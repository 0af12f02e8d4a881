#include "llm/kv/state_store.h"

#include <ATen/ATen.h>

#include <utility>

#include "pipeline/base/error.h"

namespace lv::llm {

at::Tensor StateStore::get(SequenceId sequence, int64_t layer, std::string_view name) const {
  const auto of_sequence = sequences_.find(sequence);
  if (of_sequence == sequences_.end()) return {};
  const States& states = of_sequence->second.now;
  const auto state = states.find({layer, std::string(name)});
  return state == states.end() ? at::Tensor() : state->second;
}

void StateStore::set(SequenceId sequence, int64_t layer, std::string_view name, at::Tensor state) {
  sequences_[sequence].now[{layer, std::string(name)}] = std::move(state);
}

void StateStore::advance(SequenceId sequence, int64_t tokens) {
  sequences_[sequence].length += tokens;
}

int64_t StateStore::length(SequenceId sequence) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() ? 0 : found->second.length;
}

void StateStore::keep(SequenceId sequence) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  found->second.kept[found->second.length] = found->second.now;
}

bool StateStore::reaches(SequenceId sequence, int64_t tokens) const {
  const auto found = sequences_.find(sequence);
  return found == sequences_.end() || tokens == 0 || tokens >= found->second.length ||
         found->second.kept.count(tokens) > 0;
}

void StateStore::truncate(SequenceId sequence, int64_t tokens) {
  check(tokens >= 0, ErrorCode::kInternal, "states: cannot keep fewer than no tokens");
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end() || tokens >= found->second.length) return;
  Sequence& states = found->second;
  if (tokens == 0) {
    states = {};
    return;
  }
  check(reaches(sequence, tokens), ErrorCode::kFailedPrecondition,
        "states: cannot go back from token " + std::to_string(states.length) + " to " +
            std::to_string(tokens) + ", which was not kept");
  const auto kept = states.kept.find(tokens);
  states.now = kept->second;
  states.length = tokens;
  states.kept.erase(std::next(kept), states.kept.end());
}

void StateStore::fork(SequenceId sequence, SequenceId copy, int64_t tokens) {
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) return;
  sequences_[copy] = found->second;
  try {
    truncate(copy, tokens);
  } catch (...) {
    drop(copy);
    throw;
  }
}

void StateStore::drop(SequenceId sequence) { sequences_.erase(sequence); }

int64_t StateStore::bytes() const {
  int64_t total = 0;
  for (const auto& [id, sequence] : sequences_) {
    for (const auto& [place, state] : sequence.now) total += static_cast<int64_t>(state.nbytes());
  }
  return total;
}

SequenceId fork(Memory memory, SequenceId sequence, int64_t tokens) {
  const SequenceId copy = memory.kv.fork(sequence, tokens);
  try {
    memory.states.fork(sequence, copy, tokens);
  } catch (...) {
    memory.kv.drop(copy);
    throw;
  }
  return copy;
}

void truncate(Memory memory, SequenceId sequence, int64_t tokens) {
  memory.states.truncate(sequence, tokens);
  memory.kv.truncate(sequence, tokens);
}

void drop(Memory memory, SequenceId sequence) {
  memory.kv.drop(sequence);
  memory.states.drop(sequence);
  if (memory.taps != nullptr) memory.taps->close(sequence);
}

}  // namespace lv::llm
