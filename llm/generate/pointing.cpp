#include "llm/generate/pointing.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "llm/models/packed_batch.h"
#include "llm/reason/evidence_pointer.h"
#include "pipeline/base/cancellation.h"

namespace lv::llm {
namespace {

constexpr int64_t kStepTokens = 256;

int64_t length_of(const std::variant<TextTokens, CompressedTokens>& segment) {
  const auto* text = std::get_if<TextTokens>(&segment);
  return text != nullptr ? text->ids.size(0)
                         : std::get<CompressedTokens>(segment).embeddings.size(0);
}

/// Where the visual tokens stand, and the text behind them.
struct Layout {
  int64_t first = 0, count = 0;
  std::vector<int64_t> behind;
};

std::optional<Layout> layout_of(const TokenSequence& sequence) {
  std::optional<Layout> layout;
  int64_t at = 0;
  for (const auto& segment : sequence.segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      const int64_t* ids = text->ids.const_data_ptr<int64_t>();
      if (layout) layout->behind.insert(layout->behind.end(), ids, ids + text->ids.numel());
    } else if (layout) {
      return std::nullopt;
    } else {
      layout = Layout{at, length_of(segment), {}};
    }
    at += length_of(segment);
  }
  return layout;
}

/// States [n, D] of the middle layer for rows [n, D] that stand one after another.
at::Tensor middle_states(const CausalLm& model, const at::Tensor& rows) {
  const ModelShape shape = model.shape();
  KvStore kv(shape.kv());
  StateStore states;
  const SequenceId sequence = kv.create();
  std::vector<at::Tensor> parts;
  for (int64_t at = 0; at < rows.size(0); at += kStepTokens) {
    check_cancelled();
    const at::Tensor some = rows.slice(0, at, std::min(at + kStepTokens, rows.size(0)));
    parts.push_back(
        model.states(pack({{sequence, some, at, rows.size(0)}}), {kv, states}, shape.layers / 2));
  }
  return at::cat(parts).to(at::kFloat);
}

/// The mean state of the tokens of each cell; `states` are those of the text with these ids.
at::Tensor cell_states(const at::Tensor& states, const std::vector<int64_t>& ids,
                       const std::vector<TextRange>& cells, const Tokenizer& tokenizer) {
  std::vector<int64_t> ends;  // in bytes, of each token
  int64_t bytes = 0;
  for (const int64_t id : ids) {
    bytes += static_cast<int64_t>(tokenizer.bytes(id).size());
    ends.push_back(bytes);
  }
  std::vector<at::Tensor> means;
  for (const TextRange& cell : cells) {
    // Tokens that end behind the cell's beginning, up to the one that reaches its end.
    const auto first = std::ranges::upper_bound(ends, cell.begin) - ends.begin();
    const auto last = std::ranges::lower_bound(ends, cell.end) - ends.begin() + 1;
    const int64_t from = std::min<int64_t>(first, states.size(0) - 1);
    const int64_t to = std::clamp<int64_t>(last, from + 1, states.size(0));
    means.push_back(states.slice(0, from, to).mean(0));
  }
  return at::stack(means);
}

}  // namespace

std::optional<Pointed> pointed_at(const LanguageModel& model, const TokenSequence& sequence,
                                  const Pointing& pointing, const std::vector<int64_t>& ids) {
  const std::optional<Layout> layout = layout_of(sequence);
  if (!model.pointer() || !layout || layout->count == 0 || ids.empty()) return std::nullopt;
  const CausalLm& network = *model.model();
  const at::Tensor prompt = model.embed(sequence);
  const at::Tensor states =
      middle_states(network, at::cat({prompt, network.embed(at::tensor(ids, at::kLong))}));
  const at::Tensor answer = states.slice(0, prompt.size(0)).mean(0);
  const int64_t behind = layout->first + layout->count;
  const at::Tensor groups = pointing.cells.empty()
                                ? states.slice(0, layout->first, behind)
                                : cell_states(states.slice(0, behind, prompt.size(0)),
                                              layout->behind, pointing.cells, *model.tokenizer());
  return model.pointer()->point(groups, answer);
}

}  // namespace lv::llm
