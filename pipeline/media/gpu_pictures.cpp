#include "pipeline/media/gpu_pictures.h"

namespace lv {

bool is_on_gpu(const AVFrame& picture) { return picture.format == AV_PIX_FMT_CUDA; }

UniqueAVFrame picture_on_cpu(const AVFrame& picture) {
  UniqueAVFrame here = make_av_frame();
  av_check(av_hwframe_transfer_data(here.get(), &picture, 0), "picture: fetch it from the GPU");
  av_check(av_frame_copy_props(here.get(), &picture), "picture: copy what is known of it");
  return here;
}

}  // namespace lv
