#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "llm/generate/language_model.h"

namespace lv::llm {

struct Score {
  std::vector<int64_t> ids;
  at::Tensor log_probabilities;  // [n] float32, natural log, of each id after all before it
};

/// Rows that a model read before what is scored: [m, D], m at least 1.
struct RowsBefore {
  at::Tensor rows;
  at::Tensor positions = {};                    // [m, axes], as LanguageModel::positions() says
  std::optional<int64_t> answer_position = {};  // where ids begin if not behind the last
  const WornWeights* worn = nullptr;            // null for nothing
};

/// How likely the model finds `ids` after the rows of `before`.
Score score(const CausalLm& model, const RowsBefore& before, std::vector<int64_t> ids);

/// How likely the model finds `answer` to the prompt. Throws kOutOfRange beyond the context.
Score score(const LanguageModel& model, const Prompt& prompt, std::string_view answer);

/// How likely the model finds each token of `text` but the first, read without a template.
Score score_text(const LanguageModel& model, std::string_view text);

}  // namespace lv::llm
