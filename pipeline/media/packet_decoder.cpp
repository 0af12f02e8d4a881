#include "pipeline/media/packet_decoder.h"

#include <algorithm>
#include <thread>

#include "pipeline/base/error.h"

namespace lv {
namespace {

constexpr int kMostThreads = 8;
constexpr int64_t kLargePicturePixels = 16LL << 20;
constexpr int64_t kMostSamplesAFrame = 1 << 24;

}  // namespace

PacketDecoder::PacketDecoder(const AVCodecParameters& stream, AVRational time_base,
                             const MediaLimits& limits, int threads, Warnings& warnings)
    : warnings_(warnings), max_pixels_(limits.max_picture_pixels) {
  capture_ffmpeg_log();
  const AVCodec* decoder = avcodec_find_decoder(stream.codec_id);
  check(decoder != nullptr, ErrorCode::kUnimplemented,
        warnings.name() + ": no decoder for " + avcodec_get_name(stream.codec_id));
  codec_.reset(avcodec_alloc_context3(decoder));
  check(codec_ != nullptr, ErrorCode::kResourceExhausted, "FFmpeg decoder: no memory");
  av_check(avcodec_parameters_to_context(codec_.get(), &stream),
           warnings.name() + ": describe its stream");
  codec_->opaque = &warnings_;
  codec_->pkt_timebase = time_base;
  codec_->max_pixels = padded_pixels(max_pixels_);
  codec_->max_samples = kMostSamplesAFrame;
  codec_->thread_count = threads;
  av_check(avcodec_open2(codec_.get(), decoder, nullptr),
           warnings.name() + ": open its " + decoder->name + " decoder");
}

void PacketDecoder::send(const AVPacket& packet) {
  report(avcodec_send_packet(codec_.get(), &packet));
}

void PacketDecoder::finish() { report(avcodec_send_packet(codec_.get(), nullptr)); }

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

void PacketDecoder::reset() { avcodec_flush_buffers(codec_.get()); }

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
