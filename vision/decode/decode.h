#pragma once

#include <c10/core/Device.h>

#include "pipeline/stage/stage.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/media.h"

namespace lv::vision {

/// Reads films and pictures: each request becomes the batches of pictures that its sampling asks
/// for, in order of time, at most `frames_per_batch` in one.
///
/// Pictures come as they are shown: turned, in RGB, transparent parts over white, pixels that are
/// not square left as stored. A new size begins a new batch. Times are the file's own. The pixels
/// of one batch are all that is held, however long the film. A still is a film of one picture at
/// time 0, whatever the sampling; so is the cover of a sound file.
///
/// UniformFrames and FramesPerSecond divide the part of [start, end) that the film covers. A
/// picture that several times ask for comes once.
///
/// Films are decoded by `device`: a GPU decodes what it can and leaves pixels in its memory, where
/// they differ from the CPU's by a level at most; the CPU decodes the rest.
///
/// next() throws kNotFound (no file, no video stream), kInvalidArgument (no media file, a request
/// that makes no sense), kOutOfRange (no picture in the range), kResourceExhausted (a ceiling of
/// MediaLimits that leaves nothing), kDataLoss (nothing can be decoded), kCancelled. What is only
/// partly broken is decoded as far as it goes and reported in `warnings`.
StagePtr<MediaRequest, FrameBatch> make_video_decode(int64_t frames_per_batch = 8,
                                                     at::Device device = at::kCPU);

/// Reads a file's headers. Throws like the stage.
MediaInfo probe_media(const MediaRequest& request);

}  // namespace lv::vision
