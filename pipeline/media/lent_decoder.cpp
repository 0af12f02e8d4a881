#include "pipeline/media/lent_decoder.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <mutex>

#include "pipeline/base/error.h"
#include "pipeline/media/gpu_pictures.h"

namespace lv {
namespace {

constexpr size_t kMostIdle = 32;  // each holds some 20 pictures

bool alike(const AVCodecParameters& a, const AVCodecParameters& b) {
  const auto same_header = [&] {
    return a.extradata_size == b.extradata_size &&
           (a.extradata_size == 0 ||
            std::memcmp(a.extradata, b.extradata, static_cast<size_t>(a.extradata_size)) == 0);
  };
  return a.codec_id == b.codec_id && a.codec_tag == b.codec_tag && a.width == b.width &&
         a.height == b.height && a.format == b.format && a.profile == b.profile &&
         a.level == b.level && a.color_space == b.color_space && a.color_range == b.color_range &&
         same_header();
}

/// Drops the pictures that are ready. False after the last of a film.
bool takes_packets(AVCodecContext& codec) {
  const UniqueAVFrame dropped(av_frame_alloc());
  int code = dropped ? 0 : AVERROR(ENOMEM);
  while (code >= 0) code = avcodec_receive_frame(&codec, dropped.get());
  return code == AVERROR(EAGAIN);
}

/// Decoders that wait, the latest first.
class IdleDecoders {
 public:
  UniqueAVCodecContext take(const AVCodecParameters& stream, at::Device device) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::ranges::find_if(all_, [&](const Idle& each) {
      return each.device == device && alike(*each.stream, stream);
    });
    if (found == all_.end()) return nullptr;
    UniqueAVCodecContext codec = std::move(found->codec);
    all_.erase(found);
    return codec;
  }

  void keep(UniqueAVCodecContext codec, UniqueAVCodecParameters stream, at::Device device) {
    Idle oldest;  // is freed after the lock
    const std::scoped_lock lock(mutex_);
    all_.push_front({std::move(codec), std::move(stream), device});
    if (all_.size() <= kMostIdle) return;
    oldest = std::move(all_.back());
    all_.pop_back();
  }

 private:
  struct Idle {
    UniqueAVCodecContext codec;
    UniqueAVCodecParameters stream;
    at::Device device = at::kCPU;
  };

  std::mutex mutex_;
  std::list<Idle> all_;
};

IdleDecoders& idle_decoders() {
  // Never freed: as a program ends, the driver may be gone before its statics.
  static IdleDecoders& all = *new IdleDecoders;
  return all;
}

}  // namespace

std::shared_ptr<AVCodecContext> lent_decoder(const AVCodecParameters& stream, at::Device device,
                                             const std::function<UniqueAVCodecContext()>& open) {
  UniqueAVCodecParameters own(avcodec_parameters_alloc());
  check(own != nullptr && avcodec_parameters_copy(own.get(), &stream) >= 0,
        ErrorCode::kResourceExhausted, "FFmpeg decoder: no memory");
  UniqueAVCodecContext codec = idle_decoders().take(stream, device);
  if (!codec) codec = open();
  const auto back = [device, own = std::make_shared<UniqueAVCodecParameters>(std::move(own))](
                        AVCodecContext* lent) {
    UniqueAVCodecContext returned(lent);
    if (lent->pix_fmt != AV_PIX_FMT_CUDA) return;  // it decoded on the CPU, or nothing
    if (!takes_packets(*lent)) return;  // it was read to its end, and would take itself apart
    lent->opaque = nullptr;
    idle_decoders().keep(std::move(returned), std::move(*own), device);
  };
  return {codec.release(), back};
}

}  // namespace lv
