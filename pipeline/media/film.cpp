#include "pipeline/media/film.h"

#include <algorithm>
#include <cmath>

namespace lv {
namespace {

constexpr double kUnknownKeyDistanceSeconds = 10;
// What a jump costs beyond the pictures between the key picture and the target: the decoder's
// threads and reordering start over.
constexpr double kRefillPictures = 12;
constexpr double kUnknownFrameRate = 25;
constexpr double kTickSlack = 1e-3;  // a time that was computed in double may lie this much early

double frame_rate(const AVStream& stream) {
  const AVRational rate = stream.avg_frame_rate;
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : kUnknownFrameRate;
}

int64_t saturated(double ticks) {
  constexpr double kMost = 9e18;
  return static_cast<int64_t>(std::clamp(ticks, -kMost, kMost));
}

}  // namespace

Film::Film(Demuxer& demuxer, int stream, FrameReader reader, Warnings& warnings, SeekRule seek_rule)
    : demuxer_(demuxer),
      warnings_(warnings),
      stream_(stream),
      seek_rule_(seek_rule),
      reader_(std::move(reader)) {}

std::optional<double> Film::start_seconds() const {
  const AVStream& stream = reader_.stream();
  if (stream.start_time == AV_NOPTS_VALUE) return std::nullopt;
  return reader_.seconds(stream.start_time);
}

std::optional<double> Film::end_seconds() const {
  const AVStream& stream = reader_.stream();
  const double start = start_seconds().value_or(0);
  const std::optional<double> whole = demuxer_.duration_seconds();
  if (!whole || !demuxer_.duration_is_exact()) return std::nullopt;
  if (stream.duration != AV_NOPTS_VALUE && stream.duration > 0) {
    return start + reader_.seconds(stream.duration);
  }
  return start + *whole;
}

double Film::frames_per_second() const { return frame_rate(reader_.stream()); }

std::optional<double> Film::last_seconds() const {
  if (!reached_end_ || !current_) return std::nullopt;
  return current_->pts_seconds;
}

int64_t Film::floor_ticks(double seconds) const {
  const AVRational base = reader_.stream().time_base;
  return saturated(std::floor(seconds * base.den / base.num + kTickSlack));
}

int64_t Film::ceil_ticks(double seconds) const {
  const AVRational base = reader_.stream().time_base;
  return saturated(std::ceil(seconds * base.den / base.num - kTickSlack));
}

Picture Film::picture_of(TimedFrame frame) const {
  return {std::move(frame.frame), frame.ticks, reader_.seconds(frame.ticks)};
}

bool Film::advance() {
  if (ahead_) current_ = std::move(ahead_);
  ahead_.reset();
  while (std::optional<TimedFrame> frame = reader_.next()) {
    if (current_ && frame->ticks <= current_->ticks) {
      warnings_.add("pictures that step back in time are left out");
      continue;
    }
    ahead_ = picture_of(std::move(*frame));
    return true;
  }
  reached_end_ = true;
  return false;
}

std::optional<Picture> Film::shown_at(double seconds) {
  const int64_t target = floor_ticks(seconds);
  if (seek_pays(target)) seek_before(target);
  while (!reached_end_ && (!ahead_ || ahead_->ticks <= target)) advance();
  if (!current_ || current_->ticks > target) return std::nullopt;
  return hand_out(current_);
}

std::optional<Picture> Film::next_from(double from, double until) {
  const int64_t first = ceil_ticks(from), end = ceil_ticks(until);
  if (!current_ && !ahead_ && seek_pays(first)) seek_before(first);
  while (!reached_end_) {
    if (ahead_ && ahead_->ticks >= end) return std::nullopt;
    advance();
    if (current_ && current_->ticks >= first && current_->ticks > handed_out_) {
      return hand_out(current_);
    }
  }
  return std::nullopt;
}

std::optional<Picture> Film::next_key(double from, double until) {
  const int64_t first = ceil_ticks(from), end = ceil_ticks(until);
  if (handed_out_ == INT64_MIN && seek_pays(first)) {
    ++seeks_;
    const std::optional<int64_t> landed = reader_.seek(first);
    if (!landed || *landed > first) reader_.restart();
  }
  const int64_t after = handed_out_ == INT64_MIN ? first : std::max(first, handed_out_ + 1);
  std::optional<TimedFrame> frame = reader_.next_key(after, end);
  if (!frame) return std::nullopt;
  return hand_out(picture_of(std::move(*frame)));
}

std::optional<Picture> Film::hand_out(const std::optional<Picture>& picture) {
  if (picture->ticks <= handed_out_) return std::nullopt;
  handed_out_ = picture->ticks;
  return picture;
}

bool Film::seek_pays(int64_t target) {
  if (seek_rule_ == SeekRule::kNever || seek_failed_ || reached_end_ || !reader_.can_seek()) {
    return false;
  }
  const std::optional<Picture>& latest = ahead_ ? ahead_ : current_;
  if (latest && latest->ticks >= target) return false;
  if (seek_rule_ == SeekRule::kAlways) return true;
  const double here = latest ? latest->pts_seconds : start_seconds().value_or(0);
  const double refill = kRefillPictures / frame_rate(reader_.stream());
  if (const std::optional<int64_t> key = demuxer_.indexed_key(stream_, target)) {
    return reader_.seconds(*key) - here > refill;
  }
  const double distance =
      std::max(reader_.key_distance_seconds().value_or(kUnknownKeyDistanceSeconds), lost_seconds_);
  return reader_.seconds(target) - here > distance + refill;
}

void Film::seek_before(int64_t target) {
  const std::optional<Picture> latest = ahead_ ? ahead_ : current_;
  const AVRational base = reader_.stream().time_base;
  ++seeks_;
  // The container may order by decoding time or land late: each try goes further back.
  for (const double back_seconds : {0.0, 1.0, 5.0, 30.0, 1e6}) {
    const int64_t aim = target - saturated(back_seconds * base.den / base.num);
    const std::optional<int64_t> landed = reader_.seek(aim);
    if (!landed || *landed > target) continue;
    current_.reset();
    ahead_.reset();
    if (advance() && ahead_->ticks <= target) {
      if (latest && *landed <= latest->ticks) {
        lost_seconds_ = std::max(lost_seconds_, 2 * reader_.seconds(target - *landed));
      }
      return;
    }
    reached_end_ = false;
  }
  seek_failed_ = true;
  current_.reset();
  ahead_.reset();
  reader_.restart();
}

}  // namespace lv
