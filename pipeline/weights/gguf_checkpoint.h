#pragma once

#include <string>

#include "pipeline/weights/checkpoint.h"

namespace lv {

/// A GGUF file of a language model under Hugging Face names; see open_checkpoint().
Checkpoint gguf_checkpoint(const std::string& path);

}  // namespace lv
