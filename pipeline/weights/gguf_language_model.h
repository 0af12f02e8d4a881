#pragma once

#include <string>

#include "pipeline/weights/gguf_names.h"

namespace lv {

/// The language model of a GGUF file. Throws kUnimplemented on an architecture that is not read
/// here, kInvalidArgument that names what is missing.
GgufPart gguf_language_model(const std::string& path);

}  // namespace lv
