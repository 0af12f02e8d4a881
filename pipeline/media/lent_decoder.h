#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

#include "pipeline/media/ffmpeg.h"

namespace lv {

/// A decoder that works on a GPU, for a stream with these parameters: one whose film is over and
/// had the same, or what `open` opens. Once it is let go it waits for the next film; as many wait
/// as decode at the same time, up to a bound. To make and to free one takes long, and makes
/// everything else that the GPU computes wait. What its film set in it beside the parameters is to
/// be set anew.
std::shared_ptr<AVCodecContext> lent_decoder(const AVCodecParameters& stream, at::Device device,
                                             const std::function<UniqueAVCodecContext()>& open);

}  // namespace lv
