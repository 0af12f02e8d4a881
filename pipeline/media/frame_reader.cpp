#include "pipeline/media/frame_reader.h"

#include <algorithm>

namespace lv {
namespace {

constexpr int kMostPacketsToKey = 20000;  // looked at after a seek

int64_t time_of(const AVPacket& packet) {
  return packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
}

/// The ticks one frame lasts by the stream's frame rate, or 0.
int64_t nominal_duration(const AVStream& stream) {
  if (stream.avg_frame_rate.num <= 0 || stream.avg_frame_rate.den <= 0) return 0;
  return av_rescale_q(1, av_inv_q(stream.avg_frame_rate), stream.time_base);
}

}  // namespace

FrameReader::FrameReader(Demuxer& demuxer, int stream, const MediaLimits& limits,
                         const DecodeOn& on, Warnings& warnings)
    : demuxer_(demuxer),
      stream_(stream),
      decoder_(*demuxer.stream(stream).codecpar, demuxer.stream(stream).time_base, limits, on,
               warnings),
      packet_(make_av_packet()) {
  demuxer_.select(stream);
}

std::optional<TimedFrame> FrameReader::next() {
  while (true) {
    if (UniqueAVFrame frame = decoder_.receive()) {
      std::optional<TimedFrame> result = timed(std::move(frame));
      if (result && result->ticks >= trusted_from_) return result;
      continue;
    }
    if (finished_) return std::nullopt;
    if (packet_waits_ || read_packet()) {
      packet_waits_ = false;
      decoder_.send(*packet_);
    } else {
      finished_ = true;
      decoder_.finish();
    }
  }
}

std::optional<TimedFrame> FrameReader::next_key(int64_t from, int64_t until) {
  while (packet_waits_ || read_packet()) {
    packet_waits_ = false;
    if ((packet_->flags & AV_PKT_FLAG_KEY) == 0) continue;
    const int64_t ticks = time_of(*packet_);
    if (ticks != AV_NOPTS_VALUE && (ticks < from || ticks >= until)) continue;
    decoder_.reset();
    decoder_.send(*packet_);
    UniqueAVFrame frame = decoder_.receive();
    decoder_.finish();
    if (!frame) frame = decoder_.receive();
    decoder_.reset();
    if (!frame) continue;
    std::optional<TimedFrame> result = timed(std::move(frame));
    if (result && result->ticks >= from && result->ticks < until) return result;
  }
  return std::nullopt;
}

bool FrameReader::read_packet() {
  if (!demuxer_.read(*packet_)) return false;
  if (packets_read_++ == 0) packets_have_times_ = packet_->pts != AV_NOPTS_VALUE;
  const int64_t ticks = time_of(*packet_);
  if ((packet_->flags & AV_PKT_FLAG_KEY) != 0 && ticks != AV_NOPTS_VALUE) {
    if (keys_seen_ == 0 || ticks < first_key_) first_key_ = ticks;
    if (keys_seen_ == 0 || ticks > last_key_) {
      last_key_ = ticks;
      ++keys_seen_;
    }
  }
  return true;
}

std::optional<TimedFrame> FrameReader::timed(UniqueAVFrame frame) {
  int64_t ticks = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
  if (ticks == AV_NOPTS_VALUE) ticks = after_last_ != AV_NOPTS_VALUE ? after_last_ : 0;
  const int64_t shown = std::max<int64_t>(frame->pkt_duration, 0);
  const int64_t step = shown > 0 ? shown : std::max<int64_t>(nominal_duration(stream()), 1);
  if (__builtin_add_overflow(ticks, step, &after_last_)) return std::nullopt;
  return TimedFrame{std::move(frame), ticks, shown};
}

bool FrameReader::can_seek() {
  if (packets_read_ == 0) packet_waits_ = read_packet();
  return packets_have_times_ && demuxer_.seeks_exactly();
}

void FrameReader::forget() {
  decoder_.reset();
  finished_ = false;
  packet_waits_ = false;
  after_last_ = AV_NOPTS_VALUE;
  trusted_from_ = INT64_MIN;
}

void FrameReader::restart() {
  forget();
  demuxer_.reopen();
  demuxer_.select(stream_);
}

std::optional<int64_t> FrameReader::seek(int64_t ticks) {
  forget();
  if (!demuxer_.seek(stream_, ticks)) return std::nullopt;
  for (int skipped = 0; skipped < kMostPacketsToKey && read_packet(); ++skipped) {
    if ((packet_->flags & AV_PKT_FLAG_KEY) == 0 || packet_->pts == AV_NOPTS_VALUE) continue;
    packet_waits_ = true;
    trusted_from_ = packet_->pts;
    return trusted_from_;
  }
  return std::nullopt;
}

std::optional<double> FrameReader::key_distance_seconds() const {
  if (keys_seen_ < 2) return std::nullopt;
  return seconds(last_key_ - first_key_) / static_cast<double>(keys_seen_ - 1);
}

}  // namespace lv
