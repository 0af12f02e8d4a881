#pragma once

#include <memory>
#include <optional>
#include <string>

#include "pipeline/media/ffmpeg.h"
#include "pipeline/media/media_input.h"
#include "pipeline/media/orientation.h"
#include "pipeline/media/warnings.h"
#include "pipeline/types/media.h"

namespace lv {

/// Takes a container apart into packets. Not thread-safe.
///
/// Reads through MediaInput only: no protocol, no second file, and only the formats listed in the
/// source (no play lists, no scripts). Times are ticks of a stream's time base.
class Demuxer {
 public:
  /// Reads the headers. `input` and `warnings` outlive the demuxer. Throws kInvalidArgument if the
  /// bytes are no known format, kCancelled.
  Demuxer(const MediaInput& input, const MediaLimits& limits, Warnings& warnings);

  /// The stream to use of this type, or nullopt: one that can be decoded, the container's default
  /// first. Cover art counts as video only if there is nothing else.
  std::optional<int> best_stream(AVMediaType type) const;
  int stream_count() const { return static_cast<int>(format_->nb_streams); }
  const AVStream& stream(int index) const { return *format_->streams[index]; }
  /// The container's own length, if it says and FFmpeg does not only guess from the bit rate.
  std::optional<double> duration_seconds() const;
  /// Whether that length, added to the start, is when the pictures end.
  bool duration_is_exact() const;
  std::string format_name() const { return format_->iformat->name; }
  /// Whether a stream is the cover picture of a sound file.
  bool is_cover(int index) const;
  /// How the pictures of a stream are turned when they are shown.
  Orientation orientation(int index) const;

  /// From now on read() returns packets of this stream only.
  void select(int index);
  /// The next packet; false at the end, or where the rest cannot be read (a warning says so).
  bool read(AVPacket& packet);

  /// Starts over at the first packet, whatever happened before. All streams are selected.
  void reopen();

  /// Whether times after a seek are those that reading through would give.
  bool seeks_exactly() const;
  /// Goes to a key packet at or before `ticks`, by the container's own idea of order. False: the
  /// position is unknown, and only reopen() helps.
  bool seek(int index, int64_t ticks);
  /// The last key packet at or before `ticks` that the container's index names; nullopt where the
  /// index does not reach so far.
  std::optional<int64_t> indexed_key(int index, int64_t ticks) const;

 private:
  static int read_bytes(void* self, uint8_t* into, int count);
  static int64_t seek_bytes(void* self, int64_t offset, int whence);
  static int interrupted(void* self);
  void open();

  const MediaInput& input_;
  const MediaLimits limits_;
  Warnings& warnings_;
  int64_t offset_ = 0;
  UniqueAVIOContext io_;  // outlives format_, which reads through it
  UniqueAVFormatContext format_;
};

/// Seconds of a tick count.
inline double seconds_of(int64_t ticks, AVRational time_base) {
  return static_cast<double>(ticks) * time_base.num / time_base.den;
}

}  // namespace lv
