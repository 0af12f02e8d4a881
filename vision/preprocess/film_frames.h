#pragma once

#include <optional>

#include "pipeline/base/json.h"
#include "pipeline/types/media.h"

namespace lv::vision {

/// The frames of a film that a model was trained to see, by the configuration of its processor;
/// nothing for one that was not trained with films, or in no way that is known.
/// Throws kInvalidArgument that names the key.
std::optional<PacedFrames> film_frames(const Json& config);

}  // namespace lv::vision
