#include "pipeline/media/ffmpeg.h"

#include "pipeline/base/error.h"

namespace lv {
namespace {

ErrorCode code_of(int code) {
  switch (code) {
    case AVERROR(ENOMEM):
      return ErrorCode::kResourceExhausted;
    case AVERROR_EXIT:
      return ErrorCode::kCancelled;
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_PATCHWELCOME:
    case AVERROR(ENOSYS):
      return ErrorCode::kUnimplemented;
    default:
      return ErrorCode::kDataLoss;
  }
}

}  // namespace

UniqueAVFrame make_av_frame() {
  UniqueAVFrame frame(av_frame_alloc());
  check(frame != nullptr, ErrorCode::kResourceExhausted, "FFmpeg frame: no memory");
  return frame;
}

UniqueAVPacket make_av_packet() {
  UniqueAVPacket packet(av_packet_alloc());
  check(packet != nullptr, ErrorCode::kResourceExhausted, "FFmpeg packet: no memory");
  return packet;
}

std::string av_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return text;
}

int av_check(int code, const std::string& doing) {
  if (code < 0) throw Error(code_of(code), doing + ": " + av_text(code));
  return code;
}

}  // namespace lv
