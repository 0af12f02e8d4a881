#pragma once

#include "pipeline/stage/stage.h"
#include "pipeline/types/audio.h"
#include "pipeline/types/media.h"

namespace lv::audio {

/// Reads the sound of films and sound files as 16 kHz mono: each request becomes chunks [1, S] of
/// `seconds_per_chunk`, the last one shorter, that follow one another without a gap.
///
/// The container's default stream is read where there are several. Of the sampling, start and end
/// count. Times are the file's own. Where the file is silent about a stretch in the middle, silence
/// stands for it and a warning says so. One chunk is all that is held.
///
/// A file whose sound does not reach into [start, end) yields nothing. next() throws kNotFound (no
/// file, no audio stream), kInvalidArgument (no media file, a request that makes no sense),
/// kResourceExhausted, kDataLoss (nothing can be decoded), kCancelled.
StagePtr<MediaRequest, AudioChunk> make_audio_decode(double seconds_per_chunk = 30);

}  // namespace lv::audio
