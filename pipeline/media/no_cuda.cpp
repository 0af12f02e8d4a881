#include "pipeline/base/error.h"
#include "pipeline/media/gpu_pictures.h"

// Stands for cuda_*.cpp in builds without CUDA.

namespace lv {

void decode_on_gpu(AVCodecContext&, at::Device device) {
  throw Error(ErrorCode::kUnimplemented, device.str() + ": this build decodes on the CPU only");
}

at::Tensor rgb_on_gpu(const AVFrame&, const YuvToRgb&) { return {}; }

}  // namespace lv
