#pragma once

#include "pipeline/media/film.h"
#include "pipeline/media/picture_header.h"

namespace lv {

/// Decodes a still picture. A file that is cut off gives what is there, with a warning. Throws
/// kResourceExhausted if it has more pixels than allowed, kDataLoss if nothing can be decoded.
Picture decode_still(const MediaInput& input, const PictureHeader& header,
                     const MediaLimits& limits, Warnings& warnings);

/// Throws kResourceExhausted if a picture of this size is larger than allowed.
void check_picture_size(int64_t width, int64_t height, const MediaLimits& limits,
                        const std::string& name);

}  // namespace lv
