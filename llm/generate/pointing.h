#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "llm/generate/language_model.h"
#include "pipeline/types/prompt.h"

namespace lv::llm {

/// What the answer `ids` to a prompt rests on, by the pointer that the model was trained with:
/// prompt and answer are read again, by half of the layers. Nothing where the model has no pointer,
/// the prompt not just one run of visual tokens, or the answer no token.
std::optional<Pointed> pointed_at(const LanguageModel& model, const TokenSequence& sequence,
                                  const Pointing& pointing, const std::vector<int64_t>& ids);

}  // namespace lv::llm
