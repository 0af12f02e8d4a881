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

Extent measure(const MediaInput& input, const MediaLimits& limits, int stream) {
  Warnings ignored(input.name());  // the demuxer that reads the film meets the same
  Demuxer demuxer(input, limits, ignored);
  Extent extent;
  if (stream >= demuxer.stream_count()) return extent;
  demuxer.select(stream);
  const AVRational base = demuxer.stream(stream).time_base;
  const UniqueAVPacket packet = make_av_packet();
  while (demuxer.read(*packet)) {
    ++extent.packets;
    const int64_t ticks = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    if (ticks == AV_NOPTS_VALUE) continue;
    const double end =
        seconds_of(ticks, base) + seconds_of(std::max<int64_t>(packet->duration, 0), base);
    extent.end_seconds = std::max(extent.end_seconds.value_or(end), end);
  }
  return extent;
}

}  // namespace lv
