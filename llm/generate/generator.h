#pragma once

#include <memory>

#include "llm/engine/engine.h"
#include "llm/generate/language_model.h"
#include "pipeline/stage/stage.h"
#include "pipeline/types/prompt.h"

namespace lv::llm {

/// The Generate stage: answers each prompt of a stream, one after another, in pieces of whole
/// characters. Streams that run at the same time share the model's steps; their answers do not
/// depend on one another.
///
/// The last piece of an answer says why it ended and how many tokens it took; the token that ends
/// it does not count. An answer that a JSON schema was given for is JSON if it ends by itself.
/// Throws kOutOfRange on a prompt that the context does not hold, and what WornWeights throws on
/// adapters that the model cannot wear, and JsonConstraints on schemas.
StagePtr<Prompt, TextDelta> make_generate(LanguageModelPtr model, EngineLimits limits = {});

}  // namespace lv::llm
