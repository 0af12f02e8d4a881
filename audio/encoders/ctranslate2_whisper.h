#pragma once

#include <string>

#include "pipeline/weights/checkpoint.h"

namespace lv::audio {

/// A Whisper model in CTranslate2's layout (model.bin, config.json) under Hugging Face's names and
/// configuration: fused projections are split, int8 rows are multiplied out.
Checkpoint read_ctranslate2_whisper(const std::string& folder);

/// A Whisper folder in either layout. Throws kNotFound that names what was looked for.
Checkpoint open_whisper(const std::string& folder);

}  // namespace lv::audio
