#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/media/demuxer.h"
#include "pipeline/media/packet_decoder.h"

namespace lv {

/// A decoded frame and when it is shown, in ticks of its stream.
struct TimedFrame {
  UniqueAVFrame frame;
  int64_t ticks = 0;
  int64_t duration_ticks = 0;  // 0 if unknown
};

/// The decoded frames of one stream, in order of time. Not thread-safe.
class FrameReader {
 public:
  /// Selects the stream. `demuxer` and `warnings` outlive the reader.
  FrameReader(Demuxer& demuxer, int stream, const MediaLimits& limits, const DecodeOn& on,
              Warnings& warnings);

  /// The next frame, or nullopt at the end. Times are the file's own; where it has none they are
  /// counted from the frame rate.
  std::optional<TimedFrame> next();
  /// The next key picture that lies in [from, until), decoded on its own.
  std::optional<TimedFrame> next_key(int64_t from, int64_t until);

  /// Whether seeking gives the frames and times that reading through would give. Reads a packet if
  /// none was read yet.
  bool can_seek();
  /// Goes to a key packet at or before `ticks`; next() then starts at it and leaves out frames that
  /// depend on earlier ones. nullopt: no such place was found, and only restart()
  /// helps; else its time.
  std::optional<int64_t> seek(int64_t ticks);

  /// Starts over at the first frame.
  void restart();

  const AVStream& stream() const { return demuxer_.stream(stream_); }
  double seconds(int64_t ticks) const { return seconds_of(ticks, stream().time_base); }
  /// The mean distance of key packets seen so far, or nullopt.
  std::optional<double> key_distance_seconds() const;
  int64_t packets_read() const { return packets_read_; }

 private:
  void forget();
  bool read_packet();
  std::optional<TimedFrame> timed(UniqueAVFrame frame);

  Demuxer& demuxer_;
  const int stream_;
  PacketDecoder decoder_;
  UniqueAVPacket packet_;
  bool packet_waits_ = false;  // packet_ was read but not sent
  bool finished_ = false;      // the decoder knows that no packet follows
  int64_t packets_read_ = 0;
  bool packets_have_times_ = false;
  int64_t trusted_from_ = INT64_MIN;  // earlier frames depend on what a seek jumped over
  int64_t after_last_ = AV_NOPTS_VALUE;
  int64_t keys_seen_ = 0;
  int64_t first_key_ = 0, last_key_ = 0;
};

}  // namespace lv
