#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/media/ffmpeg.h"
#include "pipeline/media/media_input.h"
#include "pipeline/media/orientation.h"

namespace lv {

/// What the first bytes of a still picture say.
struct PictureHeader {
  AVCodecID codec = AV_CODEC_ID_NONE;
  int64_t width = 0, height = 0;  // as stored; 0 where the header is cut off or damaged
  Orientation orientation = 1;    // EXIF's, where the file has it
};

/// Knows JPEG, PNG, WebP and BMP by their bytes; nullopt for everything else, animated PNG
/// included. Reads the headers only, a bounded number of them.
std::optional<PictureHeader> read_picture_header(const MediaInput& input);

/// Whether the file is a PDF.
bool is_document(const MediaInput& input);

}  // namespace lv
