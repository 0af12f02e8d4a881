#pragma once

#include "pipeline/types/audio.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"

namespace lv::services {

/// One valid value of each type, with every field set to something else than its default.
FrameBatch sample_frames();            // 2 of 4 x 5
AudioChunk sample_sound();             // 2 channels of 6
AudioTokens sample_heard();            // 2 rows of 3, one segment
VisualTokens sample_visual();          // 2 pictures, of 1 and 3 tokens of width 3
CompressedTokens sample_compressed();  // 2 rows of 3
Prompt sample_prompt();

}  // namespace lv::services
