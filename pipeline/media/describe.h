#pragma once

#include <cstdint>
#include <optional>

#include "pipeline/media/demuxer.h"
#include "pipeline/types/media.h"

namespace lv {

/// What the headers of a container say.
MediaInfo describe(const Demuxer& demuxer);

/// What reading all packets of a stream, without decoding them, tells.
struct Extent {
  int64_t packets = 0;
  std::optional<double> end_seconds;  // when its last packet ends
};

/// Measures a stream with a demuxer of its own; only its packets from about `from_seconds` on where
/// the container can be entered there.
Extent measure(const MediaInput& input, const MediaLimits& limits, int stream,
               double from_seconds = 0);

}  // namespace lv
