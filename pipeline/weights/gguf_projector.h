#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/weights/gguf_names.h"

namespace lv {

/// Whether a GGUF file holds the eyes of another one's language model (llama.cpp's "mmproj"): then
/// the width of the rows that it makes. Nothing for any other file, or one of a kind not read here.
std::optional<int64_t> gguf_projector_width(const std::string& path);

/// Gives a language model eyes: its encoder and connector, with the keys of the whole model and, as
/// "image_processor", those of the image processor that llama.cpp's mtmd is for this kind. Throws
/// kUnimplemented on a kind that is not read here, kInvalidArgument that names what does not fit.
GgufPart with_projector(GgufPart language_model, const std::string& path);

}  // namespace lv
