#pragma once

#include <optional>

#include "pipeline/types/media.h"
#include "pipeline/weights/checkpoint.h"
#include "vision/encoders/encode_stage.h"

namespace lv::vision {

/// What a checkpoint of a whole model sees with: the image processor of the files beside it, its
/// encoder and its connector, as float32 on the CPU. The language model's tensors are left to it.
/// Throws kNotFound if the checkpoint has no part that sees or no processor's configuration,
/// kInvalidArgument that lists the tensors that belong to nothing.
EncodeParts load_eyes(const Checkpoint& checkpoint);

/// The frames of a film that the checkpoint's model was trained to see; see film_frames.h.
std::optional<PacedFrames> load_film_frames(const Checkpoint& checkpoint);

}  // namespace lv::vision
