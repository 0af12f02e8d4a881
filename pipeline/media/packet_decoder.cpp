#include "pipeline/media/packet_decoder.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/media/gpu_pictures.h"
#include "pipeline/media/h264_units.h"
#include "pipeline/media/lent_decoder.h"

namespace lv {
namespace {

constexpr int kMostThreads = 8;
constexpr int64_t kLargePicturePixels = 16LL << 20;
constexpr int64_t kMostSamplesAFrame = 1 << 24;

std::atomic<int64_t> next_run = 1;  // of all decoders, as films share them

}  // namespace

PacketDecoder::PacketDecoder(const AVCodecParameters& stream, AVRational time_base,
                             const MediaLimits& limits, const DecodeOn& on, Warnings& warnings)
    : warnings_(warnings), max_pixels_(limits.max_picture_pixels) {
  capture_ffmpeg_log();
  const AVCodec* decoder = avcodec_find_decoder(stream.codec_id);
  check(decoder != nullptr, ErrorCode::kUnimplemented,
        warnings.name() + ": no decoder for " + avcodec_get_name(stream.codec_id));
  const auto set_for_film = [&](AVCodecContext& codec) {
    codec.opaque = &warnings_;
    codec.pkt_timebase = time_base;
    codec.max_pixels = padded_pixels(max_pixels_);
  };
  const auto open = [&] {
    UniqueAVCodecContext codec(avcodec_alloc_context3(decoder));
    check(codec != nullptr, ErrorCode::kResourceExhausted, "FFmpeg decoder: no memory");
    av_check(avcodec_parameters_to_context(codec.get(), &stream),
             warnings_.name() + ": describe its stream");
    set_for_film(*codec);
    codec->max_samples = kMostSamplesAFrame;
    codec->thread_count = on.threads;
    if (!on.device.is_cpu()) decode_on_gpu(*codec, on.device);
    av_check(avcodec_open2(codec.get(), decoder, nullptr),
             warnings_.name() + ": open its " + decoder->name + " decoder");
    return codec;
  };
  codec_ = on.device.is_cpu() ? std::shared_ptr<AVCodecContext>(open())
                              : lent_decoder(stream, on.device, open);
  set_for_film(*codec_);
  anew_ = !on.device.is_cpu();
}

void PacketDecoder::send(const AVPacket& packet) {
  if (std::exchange(anew_, false)) {
    if (!goes_on_at(packet)) avcodec_flush_buffers(codec_.get());
    run_ = next_run++;
    codec_->reordered_opaque = run_;
  }
  report(avcodec_send_packet(codec_.get(), &packet));
}

void PacketDecoder::finish() {
  finished_ = true;
  report(avcodec_send_packet(codec_.get(), nullptr));
}

/// Whether the decoder may take the packet as it is. FFmpeg's H.264 decoder forgets by taking
/// itself apart, and a GPU's is slow to make; pictures that need none before them need no
/// forgetting.
bool PacketDecoder::goes_on_at(const AVPacket& packet) const {
  return !finished_ && codec_->pix_fmt == AV_PIX_FMT_CUDA && codec_->codec_id == AV_CODEC_ID_H264 &&
         is_h264_idr(
             {packet.data, static_cast<size_t>(packet.size)},
             h264_length_bytes({codec_->extradata, static_cast<size_t>(codec_->extradata_size)}));
}

UniqueAVFrame PacketDecoder::receive() {
  UniqueAVFrame frame = make_av_frame();
  // A decoder may fail on several pictures in a row; each failure takes one off its queue.
  for (int failures = 0; failures < 64; ++failures) {
    const int code = avcodec_receive_frame(codec_.get(), frame.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return nullptr;
    if (code < 0) {
      report(code);
      continue;
    }
    if (is_on_gpu(*frame) && frame->reordered_opaque != run_) continue;
    if (static_cast<int64_t>(frame->width) * frame->height > max_pixels_) {
      warnings_.add("a picture of " + std::to_string(frame->width) + "x" +
                    std::to_string(frame->height) + " is larger than allowed and left out");
      continue;
    }
    if (frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
      warnings_.add("a part is damaged and shown as far as it could be decoded");
    }
    return frame;
  }
  return nullptr;
}

void PacketDecoder::reset() {
  anew_ = codec_->pix_fmt == AV_PIX_FMT_CUDA && !finished_;
  if (!anew_) avcodec_flush_buffers(codec_.get());
  finished_ = false;
}

void PacketDecoder::report(int code) {
  if (code >= 0 || code == AVERROR_EOF) return;
  check(code != AVERROR(ENOMEM), ErrorCode::kResourceExhausted,
        warnings_.name() + ": no memory to decode it");
  warnings_.add("a part cannot be decoded: " + av_text(code));
}

int decoder_threads(int64_t picture_pixels) {
  if (picture_pixels > kLargePicturePixels) return 1;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads);
}

}  // namespace lv
