#pragma once

#include <string>

#include "pipeline/weights/checkpoint.h"

namespace lv {

/// Whether a folder is a model that sees as xtuner leaves it: the language model's files, with
/// those of the image encoder in visual_encoder/ and those of the connector in projector/.
bool is_xtuner_folder(const std::string& folder);

/// Such a folder as one checkpoint, with the names and the configuration of LLaVA's layout. It is
/// AuroraCap's (AuroraForConditionalGeneration) if its encoder says so, else LLaVA's. Throws
/// kUnimplemented on a projector that is not two layers.
/// Reference: InternLM/xtuner, LLaVAModel.to_xtuner_llava; rese1f/aurora, AuroraModel.
Checkpoint xtuner_checkpoint(const std::string& folder);

}  // namespace lv
