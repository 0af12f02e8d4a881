#pragma once

#include <ATen/core/Tensor.h>

#include "pipeline/kernels/nv12_to_rgb.h"
#include "pipeline/media/ffmpeg.h"

namespace lv {

/// Has a decoder that is not open yet leave its pictures in the memory of a GPU. What the GPU
/// cannot decode is decoded on the CPU. All decoders share LibTorch's context, each has a stream of
/// its own. Throws kUnimplemented in a build without CUDA or with an FFmpeg without it.
void decode_on_gpu(AVCodecContext& codec, at::Device device);

/// Whether a picture lies in the memory of a GPU.
bool is_on_gpu(const AVFrame& picture);

/// A picture on a GPU as [H, W, 3] uint8 there, for the thread's current stream; undefined if it is
/// of a format that no kernel takes, or of odd sides.
at::Tensor rgb_on_gpu(const AVFrame& picture, const YuvToRgb& how);

/// A copy of a picture that lies on a GPU, with what is known of it.
UniqueAVFrame picture_on_cpu(const AVFrame& picture);

}  // namespace lv
