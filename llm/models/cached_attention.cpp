#include "llm/models/cached_attention.h"

#include <ATen/ATen.h>

#include "llm/kernels/paged_attention.h"
#include "pipeline/kernels/on_device.h"
#include "pipeline/nn/attention.h"

namespace lv::llm {

at::Tensor CachedAttention::operator()(const at::Tensor& q, const at::Tensor& k,
                                       const at::Tensor& v, const PackedBatch& batch, int64_t layer,
                                       KvStore& kv) const {
  kv.append(batch.sequences,
            {batch.offsets.const_data_ptr<int32_t>(), static_cast<size_t>(batch.offsets.size(0))},
            layer, k, v);
  const int64_t groups = kv.groups(layer);
  if (groups == 1) return attend_group(q, batch, layer, 0, kv);
  std::vector<at::Tensor> outs;
  const std::vector<at::Tensor> parts = q.chunk(groups, 1);
  for (int64_t group = 0; group < groups; ++group) {
    outs.push_back(attend_group(parts[static_cast<size_t>(group)], batch, layer, group, kv));
  }
  return at::cat(outs, 1);
}

at::Tensor CachedAttention::attend_group(const at::Tensor& q, const PackedBatch& batch,
                                         int64_t layer, int64_t group, const KvStore& kv) const {
  const SpanRule& rule = spans_[static_cast<size_t>(group)];
  const auto* offsets = batch.offsets.const_data_ptr<int32_t>();
  std::vector<PagedQuery> single;
  std::vector<int64_t> single_rows;
  at::Tensor out;
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const KvView view = kv.view(batch.sequences[s], layer, group);
    const KeySpan span = span_at(rule, batch.planned_lengths[s]);
    const int64_t begin = offsets[s];
    const int64_t end = offsets[s + 1];
    const int64_t cached = view.tokens - (end - begin);
    const std::vector<TokenRange> seen = span.seen({cached, view.tokens});
    if (end - begin == 1) {
      single.push_back({view, seen});
      single_rows.push_back(begin);
      continue;
    }
    const KvRows rows = gather(view, seen);
    const CausalMask mask{rows.keys.size(0) - (end - begin), span.window, span.sinks};
    const at::Tensor part =
        attend(q.slice(0, begin, end), rows.keys, rows.values, mask, scale_).out;
    if (end - begin == q.size(0)) return part;
    if (!out.defined()) out = at::empty(q.sizes(), q.options());
    out.slice(0, begin, end).copy_(part);
  }
  if (single.empty()) return out;
  if (!out.defined()) return attend_paged(q, single, scale_).out;
  const at::Tensor rows = sent(single_rows, q.device());
  return out.index_copy_(0, rows, attend_paged(q.index_select(0, rows), single, scale_).out);
}

bool CachedAttention::sees_all() const {
  const auto* span = std::get_if<KeySpan>(&spans_.front());
  return spans_.size() == 1 && span != nullptr && span->all();
}

void CachedAttention::forget_unseen(SequenceId sequence, int64_t planned_length, int64_t layer,
                                    KvStore& kv) const {
  for (int64_t group = 0; group < kv.groups(layer); ++group) {
    const KeySpan span = span_at(spans_[static_cast<size_t>(group)], planned_length);
    if (span.all()) continue;
    kv.forget(sequence, layer, group, span.unseen(kv.view(sequence, layer, group).tokens));
  }
}

}  // namespace lv::llm
