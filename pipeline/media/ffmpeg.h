#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace lv {

/// Deleter for FFmpeg's functions that take the address of a pointer.
template <auto Free>
struct AvFree {
  template <class T>
  void operator()(T* object) const {
    Free(&object);
  }
};

struct AvFreeIoContext {
  void operator()(AVIOContext* io) const {
    av_freep(&io->buffer);
    avio_context_free(&io);
  }
};

struct AvFreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

using UniqueAVFrame = std::unique_ptr<AVFrame, AvFree<av_frame_free>>;
using UniqueAVPacket = std::unique_ptr<AVPacket, AvFree<av_packet_free>>;
using UniqueAVFormatContext = std::unique_ptr<AVFormatContext, AvFree<avformat_close_input>>;
using UniqueAVCodecContext = std::unique_ptr<AVCodecContext, AvFree<avcodec_free_context>>;
using UniqueAVCodecParameters = std::unique_ptr<AVCodecParameters, AvFree<avcodec_parameters_free>>;
using UniqueAVIOContext = std::unique_ptr<AVIOContext, AvFreeIoContext>;
using UniqueSwsContext = std::unique_ptr<SwsContext, AvFreeScaler>;
using UniqueSwrContext = std::unique_ptr<SwrContext, AvFree<swr_free>>;

/// Each throws kResourceExhausted if there is no memory.
UniqueAVFrame make_av_frame();
UniqueAVPacket make_av_packet();

/// What FFmpeg says about an error code.
std::string av_text(int code);

/// Returns `code` unless it is an error; then throws "<doing>: <FFmpeg's text>". Callers handle
/// EAGAIN and the end of a file before.
int av_check(int code, const std::string& doing);

}  // namespace lv
