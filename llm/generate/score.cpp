#include "llm/generate/score.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "llm/models/packed_batch.h"
#include "llm/models/worn_weights.h"
#include "llm/retain/row_pruning.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kStepTokens = 256;  // bounds the memory for logits

at::Tensor tensor_of(const std::vector<int64_t>& ids) { return at::tensor(ids, at::kLong); }

void check_fits(const LanguageModel& model, int64_t tokens) {
  check(tokens <= model.context_tokens(), ErrorCode::kOutOfRange,
        "score: expected at most " + std::to_string(model.context_tokens()) +
            " tokens (the context), got " + std::to_string(tokens));
}

}  // namespace

Score score(const CausalLm& model, const RowsBefore& before, std::vector<int64_t> ids) {
  const ModelShape shape = model.shape();
  check_shape(before.rows, "score: what comes before", {-1, shape.width});
  const int64_t asked = before.rows.size(0);
  check(asked > 0, ErrorCode::kInvalidArgument,
        "score: expected at least one token before, got none");
  const at::Tensor all = tensor_of(ids);
  const auto count = static_cast<int64_t>(ids.size());
  const int64_t length = asked + std::max<int64_t>(count - 1, 0);
  const at::Tensor rows =
      at::cat({before.rows.to(shape.device, shape.dtype), model.embed(all.slice(0, 0, -1))});
  const at::Tensor places = places_of(asked, {before.positions, before.answer_position}, length);
  KvStore kv(shape.kv());
  StateStore states;
  const SequenceId sequence = kv.create();
  Score result{std::move(ids), at::empty({count})};
  for (int64_t at = 0; at < length; at += kStepTokens) {
    const int64_t end = std::min(at + kStepTokens, length);
    SequenceStep step{sequence, rows.slice(0, at, end), at, length};
    if (places.defined()) step.positions = places.slice(0, at, end);
    step.worn = before.worn;
    const at::Tensor hidden = model.forward(pack({step}), {kv, states});
    // Row r predicts id r - (rows before) + 1.
    const int64_t first = std::max<int64_t>(at, asked - 1);
    if (first >= end || count == 0) continue;
    const int64_t from = first - asked + 1;
    const int64_t to = end - asked + 1;
    const at::Tensor chances = at::log_softmax(model.logits(hidden.slice(0, first - at)), -1).cpu();
    result.log_probabilities.slice(0, from, to)
        .copy_(chances.gather(1, all.slice(0, from, to).unsqueeze(1)).squeeze(1));
  }
  return result;
}

Score score(const LanguageModel& model, const Prompt& prompt, std::string_view answer) {
  const TokenSequence sequence = model.read(prompt);
  check(!row_pruning(sequence), ErrorCode::kUnimplemented,
        "score: expected visual tokens that all layers read, got some with fastv");
  const WornWeights worn(sequence.adapters, model.model()->shape());
  const RowsBefore before{model.embed(sequence), model.positions(sequence),
                          model.answer_position(sequence), &worn};
  std::vector<int64_t> ids = model.tokenizer()->encode(answer);
  check_fits(model, before.rows.size(0) + static_cast<int64_t>(ids.size()));
  return score(*model.model(), before, std::move(ids));
}

Score score_text(const LanguageModel& model, std::string_view text) {
  std::vector<int64_t> ids = model.tokenizer()->encode(text);
  check(!ids.empty(), ErrorCode::kInvalidArgument, "score: expected some text, got none");
  check_fits(model, static_cast<int64_t>(ids.size()));
  const at::Tensor first = model.model()->embed(tensor_of({ids[0]}));
  ids.erase(ids.begin());
  return score(*model.model(), {first}, std::move(ids));
}

}  // namespace lv::llm
