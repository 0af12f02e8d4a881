#include "pipeline/media/still.h"

#include <limits>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"

namespace lv {
namespace {

UniqueAVPacket read_whole(const MediaInput& input) {
  constexpr int64_t kMost = std::numeric_limits<int>::max() - AV_INPUT_BUFFER_PADDING_SIZE;
  check(input.size() <= kMost, ErrorCode::kResourceExhausted,
        input.name() + ": expected a picture of at most 2 GiB, got " +
            std::to_string(input.size()) + " bytes");
  UniqueAVPacket packet = make_av_packet();
  av_check(av_new_packet(packet.get(), static_cast<int>(input.size())),
           input.name() + ": read the picture");
  for (int64_t at = 0; at < input.size();) {
    check_cancelled();
    const int64_t got = input.read_at(at, packet->data + at, input.size() - at);
    check(got > 0, ErrorCode::kDataLoss, input.name() + ": cannot be read whole");
    at += got;
  }
  return packet;
}

}  // namespace

void check_picture_size(int64_t width, int64_t height, const MediaLimits& limits,
                        const std::string& name) {
  // Headers hold at most 32 bits a side, so the product fits.
  if (static_cast<uint64_t>(width) * static_cast<uint64_t>(height) <=
      static_cast<uint64_t>(limits.max_picture_pixels)) {
    return;
  }
  throw Error(ErrorCode::kResourceExhausted,
              name + ": expected at most " + std::to_string(limits.max_picture_pixels) +
                  " pixels, got a picture of " + std::to_string(width) + " x " +
                  std::to_string(height));
}

Picture decode_still(const MediaInput& input, const PictureHeader& header,
                     const MediaLimits& limits, Warnings& warnings) {
  check_picture_size(header.width, header.height, limits, input.name());
  UniqueAVCodecParameters stream(avcodec_parameters_alloc());
  check(stream != nullptr, ErrorCode::kResourceExhausted, "FFmpeg decoder: no memory");
  stream->codec_type = AVMEDIA_TYPE_VIDEO;
  stream->codec_id = header.codec;
  PacketDecoder decoder(*stream, AVRational{1, 1}, limits, {1}, warnings);
  decoder.send(*read_whole(input));
  UniqueAVFrame frame = decoder.receive();
  decoder.finish();
  if (!frame) frame = decoder.receive();
  if (!frame) {
    const std::string why = warnings.first();
    throw Error(ErrorCode::kDataLoss,
                input.name() + ": expected a " + avcodec_get_name(header.codec) +
                    " picture, its data cannot be decoded" + (why.empty() ? "" : " (" + why + ")"));
  }
  return {std::move(frame), 0, 0};
}

}  // namespace lv
