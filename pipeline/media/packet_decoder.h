#pragma once

#include <c10/core/Device.h>

#include "pipeline/media/ffmpeg.h"
#include "pipeline/media/warnings.h"
#include "pipeline/types/media.h"

namespace lv {

/// What decodes: threads of the CPU, or a GPU, which leaves pictures in its memory
/// (decode_on_gpu()).
struct DecodeOn {
  int threads = 1;
  at::Device device = at::kCPU;
};

/// Turns the packets of one stream into frames. Not thread-safe.
///
/// Pictures above limits.max_picture_pixels are left out, also where the size changes on the way;
/// those well above it before memory is taken for them. What cannot be decoded is a warning.
class PacketDecoder {
 public:
  /// `warnings` outlives the decoder. Throws kUnimplemented if there is no decoder for the stream,
  /// and as decode_on_gpu().
  PacketDecoder(const AVCodecParameters& stream, AVRational time_base, const MediaLimits& limits,
                const DecodeOn& on, Warnings& warnings);

  /// Takes a packet; the frames that were ready must have been received before.
  void send(const AVPacket& packet);
  /// No packet follows: receive() hands out what is left.
  void finish();
  /// The next frame in order of display, or null where another packet is needed.
  UniqueAVFrame receive();
  /// Forgets everything that was sent.
  void reset();

 private:
  void report(int code);
  bool goes_on_at(const AVPacket& packet) const;

  Warnings& warnings_;
  const int64_t max_pixels_;
  // Of the pictures that are wanted, where the decoder may hold older ones: as the packets they
  // came from were marked.
  int64_t run_ = 0;
  bool anew_ = false;      // what comes next has nothing to do with what was sent
  bool finished_ = false;  // no packet follows
  std::shared_ptr<AVCodecContext> codec_;
};

/// The ceiling for FFmpeg's own check, which counts the padding of rows and columns as pixels.
inline int64_t padded_pixels(int64_t pixels) { return pixels + pixels / 2 + (1 << 20); }

/// How many threads a film of this size is decoded with; more would only hold more pictures.
int decoder_threads(int64_t picture_pixels);

}  // namespace lv
