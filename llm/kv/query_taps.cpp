#include "llm/kv/query_taps.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/base/error.h"

namespace lv::llm {

void QueryTaps::open(SequenceId sequence, int64_t window) { taps_[sequence] = {window, {}}; }

void QueryTaps::add(SequenceId sequence, int64_t layer, const at::Tensor& queries) {
  const auto found = taps_.find(sequence);
  if (found == taps_.end()) return;
  Tap& tap = found->second;
  const auto at = static_cast<size_t>(layer);
  if (tap.layers.size() <= at) tap.layers.resize(at + 1);
  at::Tensor& held = tap.layers[at];
  const int64_t added = std::min(queries.size(0), tap.window);
  const at::Tensor last = queries.slice(0, queries.size(0) - added);
  // Copies: what came in is part of something larger.
  if (!held.defined() || added == tap.window) {
    held = last.clone();
    return;
  }
  const int64_t kept = std::min(held.size(0), tap.window - added);
  held = at::cat({held.slice(0, held.size(0) - kept), last});
}

const at::Tensor& QueryTaps::queries(SequenceId sequence, int64_t layer) const {
  const auto found = taps_.find(sequence);
  const auto at = static_cast<size_t>(layer);
  check(found != taps_.end() && at < found->second.layers.size() &&
            found->second.layers[at].defined(),
        ErrorCode::kInternal, "query taps: nothing was held of layer " + std::to_string(layer));
  return found->second.layers[at];
}

}  // namespace lv::llm
