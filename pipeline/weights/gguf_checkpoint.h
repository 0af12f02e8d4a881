#pragma once

#include <string>

#include "pipeline/weights/checkpoint.h"

namespace lv {

/// A GGUF file of a language model under Hugging Face names, with eyes if it has any; see
/// open_checkpoint().
Checkpoint gguf_checkpoint(const std::string& path, const std::string& projector);

/// The file of a language model in a folder of GGUF files; empty if there is none. Throws
/// kInvalidArgument if there are several.
std::string gguf_in_folder(const std::string& folder);

}  // namespace lv
