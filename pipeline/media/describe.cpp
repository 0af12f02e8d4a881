#include "pipeline/media/describe.h"

#include <algorithm>

namespace lv {

MediaInfo describe(const Demuxer& demuxer) {
  MediaInfo info;
  info.duration_seconds = demuxer.duration_seconds().value_or(0);
  const std::optional<int> video = demuxer.best_stream(AVMEDIA_TYPE_VIDEO);
  if (video && !demuxer.is_cover(*video)) {
    info.kind = MediaKind::kVideo;
  } else if (demuxer.best_stream(AVMEDIA_TYPE_AUDIO)) {
    info.kind = MediaKind::kAudio;
  }
  if (!video) return info;
  const AVCodecParameters& stream = *demuxer.stream(*video).codecpar;
  info.width = stream.width;
  info.height = stream.height;
  if (swaps_sides(demuxer.orientation(*video))) std::swap(info.width, info.height);
  return info;
}

Extent measure(const MediaInput& input, const MediaLimits& limits, int stream,
               double from_seconds) {
  Warnings ignored(input.name());  // the demuxer that reads the film meets the same
  Demuxer demuxer(input, limits, ignored);
  Extent extent;
  if (stream >= demuxer.stream_count()) return extent;
  demuxer.select(stream);
  const AVRational base = demuxer.stream(stream).time_base;
  const double from_ticks = from_seconds * base.den / base.num;
  if (from_seconds > 0 && from_ticks < 9e18 && demuxer.seeks_exactly() &&
      !demuxer.seek(stream, static_cast<int64_t>(from_ticks))) {
    demuxer.reopen();
    demuxer.select(stream);
  }
  const int delay = demuxer.stream(stream).codecpar->video_delay;
  const UniqueAVPacket packet = make_av_packet();
  double untimed = 0;     // bare streams have durations only
  double decoded_by = 0;  // some containers give pictures that are not shown at once no other time
  bool all_have_pts = true;
  while (demuxer.read(*packet)) {
    ++extent.packets;
    const double length = seconds_of(std::max<int64_t>(packet->duration, 0), base);
    double end = untimed += length;
    if (packet->pts != AV_NOPTS_VALUE) {
      end = seconds_of(packet->pts, base) + length;
    } else if (packet->dts != AV_NOPTS_VALUE) {
      end = seconds_of(packet->dts, base) + length;
      all_have_pts = false;
    }
    if (packet->dts != AV_NOPTS_VALUE) {
      decoded_by = seconds_of(packet->dts, base) + length * (1 + delay);
    }
    extent.end_seconds = std::max(extent.end_seconds.value_or(end), end);
  }
  if (!all_have_pts) extent.end_seconds = std::max(*extent.end_seconds, decoded_by);
  return extent;
}

}  // namespace lv
