#include "audio/decode/sound_reader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "pipeline/base/error.h"
#include "pipeline/media/describe.h"
#include "pipeline/media/picture_header.h"

namespace lv::audio {
namespace {

constexpr int kRate = 16000;
// Containers round times to a millisecond or a video frame; only more than this is a gap.
constexpr double kToleranceSeconds = 0.05;
// A jump beyond the container's own end and longer than this is a broken time, not silence.
constexpr double kBelievedGapSeconds = 60;
constexpr double kSeekWorthSeconds = 30;
constexpr double kPrerollSeconds = 1;  // decoders need some sound before they are exact

std::string span_text(const char* what, double from, double to) {
  char text[96];
  std::snprintf(text, sizeof(text), "%s from %.3f s to %.3f s", what, from, to);
  return text;
}

}  // namespace

SoundReader::SoundReader(MediaRequest request, double seconds_per_chunk)
    : request_((check_request(request), std::move(request))),
      chunk_samples_(static_cast<size_t>(std::llround(seconds_per_chunk * kRate))),
      input_(request_),
      warnings_(input_.name()),
      resampler_(kRate) {
  check(!is_document(input_) && !read_picture_header(input_), ErrorCode::kNotFound,
        input_.name() + ": no audio stream");
  demuxer_ = std::make_unique<Demuxer>(input_, request_.limits, warnings_);
  const std::optional<int> stream = demuxer_->best_stream(AVMEDIA_TYPE_AUDIO);
  check(stream.has_value(), ErrorCode::kNotFound, input_.name() + ": no audio stream");
  media_ = describe(*demuxer_);
  reader_ =
      std::make_unique<FrameReader>(*demuxer_, *stream, request_.limits, DecodeOn{1}, warnings_);
  end_seconds_ =
      std::max(request_.sampling.start_seconds, start_of_stream()) + request_.limits.max_seconds;
  end_is_limit_ = end_seconds_ < request_.sampling.end_seconds.value_or(INFINITY);
  if (!end_is_limit_) end_seconds_ = *request_.sampling.end_seconds;
  jump_to_start();
  const bool any = fill(1);
  if (any || expected_) return;
  const std::string why = warnings_.first();
  throw Error(ErrorCode::kDataLoss, input_.name() + ": expected sound, none can be decoded" +
                                        (why.empty() ? "" : " (" + why + ")"));
}

void SoundReader::jump_to_start() {
  const double start = request_.sampling.start_seconds;
  if (start < kSeekWorthSeconds || !reader_->can_seek()) return;
  const AVRational base = reader_->stream().time_base;
  const double ticks = (start - kPrerollSeconds) * base.den / base.num;
  if (std::abs(ticks) > 9e18) return;
  const std::optional<int64_t> landed = reader_->seek(static_cast<int64_t>(ticks));
  if (!landed || reader_->seconds(*landed) > start) reader_->restart();
}

double SoundReader::start_of_stream() const {
  const AVStream& stream = reader_->stream();
  return stream.start_time == AV_NOPTS_VALUE ? 0 : reader_->seconds(stream.start_time);
}

double SoundReader::end_of_buffer() const {
  return buffer_pts_ + static_cast<double>(buffer_.size()) / kRate;
}

bool SoundReader::fill(size_t samples) {
  while (!ended_ && buffer_.size() < samples) {
    if (silence_ > 0) {
      const auto room = static_cast<int64_t>(samples - buffer_.size());
      const int64_t count = std::min(silence_, room);
      buffer_.resize(buffer_.size() + static_cast<size_t>(count));
      silence_ -= count;
    } else if (waiting_) {
      convert(*waiting_);
      waiting_.reset();
    } else if (std::optional<TimedFrame> sound = reader_->next()) {
      if (sound->frame->sample_rate > 0) take(std::move(*sound));
    } else {
      ended_ = true;
      resampler_.drain(buffer_);
    }
    trim();
  }
  return !buffer_.empty();
}

void SoundReader::take(TimedFrame sound) {
  const double at = reader_->seconds(sound.ticks);
  if (!expected_) {
    expected_ = buffer_pts_ = at;
  } else if (at < *expected_ - kToleranceSeconds) {
    warnings_.add("sound that steps back in time is left out");
    return;
  } else if (at > *expected_ + kToleranceSeconds) {
    const double known_end = start_of_stream() + media_.duration_seconds;
    if (at - *expected_ > kBelievedGapSeconds && at > known_end) {
      warnings_.add("a time far beyond the end is not believed");
    } else {
      warnings_.add(span_text("no sound", *expected_, at));
      place_at(at);
    }
  }
  waiting_ = std::move(sound);
}

void SoundReader::place_at(double seconds) {
  resampler_.drain(buffer_);
  const double until = std::min(seconds, end_seconds_);
  silence_ = std::max<int64_t>(std::llround((until - end_of_buffer()) * kRate), 0);
  expected_ = seconds;
}

void SoundReader::convert(const TimedFrame& sound) {
  resampler_.convert(*sound.frame, buffer_);
  *expected_ += static_cast<double>(sound.frame->nb_samples) / sound.frame->sample_rate;
  if (*expected_ < end_seconds_) return;
  ended_ = true;
  resampler_.drain(buffer_);
  if (end_is_limit_) {
    char text[64];
    std::snprintf(text, sizeof(text), "only %.0f s of sound are read, which is the limit",
                  request_.limits.max_seconds);
    warnings_.add(text);
  }
}

void SoundReader::trim() {
  const double early = (request_.sampling.start_seconds - buffer_pts_) * kRate;
  if (early >= 1) {
    const auto count =
        static_cast<int64_t>(std::min(early + 1e-6, static_cast<double>(buffer_.size())));
    buffer_.erase(buffer_.begin(), buffer_.begin() + count);
    buffer_pts_ += static_cast<double>(count) / kRate;
  }
  const double most = std::max(0.0, std::round((end_seconds_ - buffer_pts_) * kRate));
  if (static_cast<double>(buffer_.size()) > most) buffer_.resize(static_cast<size_t>(most));
}

std::optional<AudioChunk> SoundReader::next() {
  // One sample more than is handed out: when the last chunk leaves, every warning is known.
  fill(chunk_samples_ + 1);
  if (buffer_.empty()) return std::nullopt;
  const size_t count = std::min(chunk_samples_, buffer_.size());
  AudioChunk chunk;
  chunk.samples = at::empty({1, static_cast<int64_t>(count)}, at::kFloat);
  std::memcpy(chunk.samples.data_ptr<float>(), buffer_.data(), count * sizeof(float));
  chunk.sample_rate_hz = kRate;
  chunk.pts_seconds = buffer_pts_;
  chunk.media = media_;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<int64_t>(count));
  buffer_pts_ += static_cast<double>(count) / kRate;
  chunk.warnings = warnings_.take();
  return chunk;
}

}  // namespace lv::audio
