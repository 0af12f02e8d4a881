#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda.h>
#include <cuda_runtime_api.h>

extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>
}

#include "pipeline/base/error.h"
#include "pipeline/media/gpu_pictures.h"

namespace lv {
namespace {

// Pictures that a film holds beside those that its decoder refers to.
constexpr int kExtraPictures = 8;

/// The context that LibTorch computes in, by the driver's own function: FFmpeg refuses to ask for
/// it where somebody else made it.
CUcontext context_of(at::Device device) {
  const c10::cuda::CUDAGuard guard(device);
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  CUcontext context = nullptr;
  const bool known = cudaFree(nullptr) == cudaSuccess &&
                     cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", &found, 4000,
                                                      cudaEnableDefault, &result) == cudaSuccess &&
                     found != nullptr &&
                     reinterpret_cast<CUresult (*)(CUcontext*)>(found)(&context) == CUDA_SUCCESS;
  check(known && context != nullptr, ErrorCode::kUnavailable,
        device.str() + ": cannot be used to decode");
  return context;
}

const AVHWFramesContext& frames_of(const AVFrame& picture) {
  return *reinterpret_cast<const AVHWFramesContext*>(picture.hw_frames_ctx->data);
}

CUstream stream_of(const AVFrame& picture) {
  return static_cast<const AVCUDADeviceContext*>(frames_of(picture).device_ctx->hwctx)->stream;
}

at::Device device_of(const AVFrame& picture) {
  cudaPointerAttributes attributes{};
  av_check(cudaPointerGetAttributes(&attributes, picture.data[0]) == cudaSuccess ? 0 : AVERROR_BUG,
           "picture: find its GPU");
  return {at::kCUDA, static_cast<c10::DeviceIndex>(attributes.device)};
}

}  // namespace

void decode_on_gpu(AVCodecContext& codec, at::Device device) {
  if (!device.has_index()) device.set_index(at::cuda::current_device());
  AVBufferRef* reference = av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA);
  check(reference != nullptr, ErrorCode::kUnimplemented, "FFmpeg: built without decoding on GPUs");
  auto& cuda = *static_cast<AVCUDADeviceContext*>(
      reinterpret_cast<AVHWDeviceContext*>(reference->data)->hwctx);
  codec.hw_device_ctx = reference;  // which frees it
  cuda.cuda_ctx = context_of(device);
  cuda.stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index());
  av_check(av_hwdevice_ctx_init(reference), device.str() + ": prepare it to decode");
  codec.extra_hw_frames = kExtraPictures;
  codec.thread_count = 1;  // which only hands packets on
}

at::Tensor rgb_on_gpu(const AVFrame& picture, const YuvToRgb& how) {
  const AVPixelFormat format = frames_of(picture).sw_format;
  const bool wide = format == AV_PIX_FMT_P010 || format == AV_PIX_FMT_P016;
  if (!wide && format != AV_PIX_FMT_NV12) return {};
  // swscale stretches the chroma of odd sides a little.
  if (picture.height % 2 != 0 || picture.width % 2 != 0) return {};
  const at::Device device = device_of(picture);
  const auto stream = c10::cuda::getStreamFromExternal(stream_of(picture), device.index());
  at::Tensor rgb;
  {
    // Before the picture goes back to its decoder, on the stream that its decoder works on.
    const c10::cuda::CUDAStreamGuard guard(stream);
    const auto options = at::TensorOptions(device).dtype(wide ? at::kUInt16 : at::kByte);
    const int64_t bytes = wide ? 2 : 1;
    const int64_t height = picture.height, width = picture.width;
    const at::Tensor luma =
        at::from_blob(picture.data[0], {height, width}, {picture.linesize[0] / bytes, 1}, options);
    const at::Tensor chroma = at::from_blob(picture.data[1], {(height + 1) / 2, (width + 1) / 2, 2},
                                            {picture.linesize[1] / bytes, 2, 1}, options);
    rgb = nv12_to_rgb(luma, chroma, how);
    stream.synchronize();
  }
  // Its memory belongs to the decoder's stream; the reader's may still read it when it is let go.
  rgb.record_stream(c10::cuda::getCurrentCUDAStream(device.index()));
  return rgb;
}

}  // namespace lv
