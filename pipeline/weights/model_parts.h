#pragma once

#include "pipeline/weights/checkpoint.h"

namespace lv {

// A checkpoint that sees holds up to five networks: an image encoder, a connector, a compressor,
// a language model, and what points at evidence. These take one of them out, under the names that
// it has where it is alone, whichever of the layouts in use the file has. Each throws
// kInvalidArgument that lists the tensors of `checkpoint` that belong to no part, and kNotFound if
// there is no such part.

/// The language model: "model.layers.0...", "lm_head". A checkpoint of a language model alone is
/// its own text part.
Checkpoint text_part(const Checkpoint& checkpoint);

/// The image encoder. Its architecture is what the vision configuration's model_type stands for.
Checkpoint vision_part(const Checkpoint& checkpoint);

/// What joins them. Its configuration is that of the whole.
Checkpoint connector_part(const Checkpoint& checkpoint);

/// What makes weights or fewer tokens of what the image encoder sees, where it was trained with the
/// model. Its configuration is that of the whole.
Checkpoint compressor_part(const Checkpoint& checkpoint);
bool has_compressor(const Checkpoint& checkpoint);

/// What points at the evidence of answers, where the model was trained to. Its configuration is
/// that of the whole.
Checkpoint pointer_part(const Checkpoint& checkpoint);
bool has_pointer(const Checkpoint& checkpoint);

/// Whether the checkpoint has more than a language model, by its architecture.
bool has_vision(const Checkpoint& checkpoint);

}  // namespace lv
