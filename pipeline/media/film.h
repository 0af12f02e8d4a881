#pragma once

#include <memory>
#include <optional>

#include "pipeline/media/frame_reader.h"

namespace lv {

/// A picture as the decoder made it. `ticks` order the pictures of one film.
struct Picture {
  std::shared_ptr<const AVFrame> frame;
  int64_t ticks = 0;
  double pts_seconds = 0;
};

/// How to reach a time that lies ahead.
enum class SeekRule { kWhenCheaper, kNever, kAlways };

/// The pictures of one video stream by time. Not thread-safe. Times only ever go forwards, and no
/// picture comes twice; those that step back in time are left out with a warning.
class Film {
 public:
  /// `reader` reads `stream` of `demuxer`, which outlives the film, as does `warnings`.
  Film(Demuxer& demuxer, int stream, FrameReader reader, Warnings& warnings,
       SeekRule seek_rule = SeekRule::kWhenCheaper);

  /// The picture shown at `seconds`: the last that starts at or before. nullopt: it is the one that
  /// was handed out last, or the film starts later.
  std::optional<Picture> shown_at(double seconds);
  /// The next picture that starts in [from, until).
  std::optional<Picture> next_from(double from, double until);
  /// The next key picture that starts in [from, until), decoded on its own. Not to be mixed with
  /// the others.
  std::optional<Picture> next_key(double from, double until);

  /// When the pictures start, as far as the header says.
  std::optional<double> start_seconds() const;
  /// When the last picture ends, if the header says.
  std::optional<double> end_seconds() const;

  /// Pictures a second on average; a guess where the header does not say.
  double frames_per_second() const;

  /// When the last picture of the film starts, once it was reached.
  std::optional<double> last_seconds() const;
  bool decoded_any() const { return current_ || ahead_ || handed_out_ != INT64_MIN; }
  int64_t packets_read() const { return reader_.packets_read(); }
  /// How often the film jumped; tests ask.
  int64_t seeks() const { return seeks_; }

 private:
  int64_t floor_ticks(double seconds) const;
  int64_t ceil_ticks(double seconds) const;
  Picture picture_of(TimedFrame frame) const;
  bool advance();
  bool seek_pays(int64_t target);
  void seek_before(int64_t target);
  std::optional<Picture> hand_out(const std::optional<Picture>& picture);

  Demuxer& demuxer_;
  Warnings& warnings_;
  const int stream_;
  const SeekRule seek_rule_;
  FrameReader reader_;
  std::optional<Picture> current_, ahead_;  // neighbours in time; ahead_ is not yet reached
  int64_t handed_out_ = INT64_MIN;
  int64_t seeks_ = 0;
  double lost_seconds_ = 0;  // jumps that led back teach how far apart key pictures are
  bool seek_failed_ = false;
  bool reached_end_ = false;
};

}  // namespace lv
