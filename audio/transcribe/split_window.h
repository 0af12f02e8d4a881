#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "audio/transcribe/vocabulary.h"

namespace lv::audio {

/// A piece of what was said in a window. Times are seconds from the window's start.
struct SaidSegment {
  double start_seconds = 0;
  double end_seconds = 0;
  std::vector<int64_t> ids;  // with its timestamps
};

struct SplitWindow {
  std::vector<SaidSegment> segments;
  double next_seconds = 0;  // where the next window starts, in (0, window_seconds]
};

/// Cuts what was said in a window of `window_seconds` of sound at its pairs of timestamps.
///
/// Words after the last pair may be cut by the window's end: they are dropped, and the next window
/// starts at that pair. A single timestamp at the end says that silence follows: the next window
/// starts where this one ends, as it does when there is no pair at all.
SplitWindow split_window(std::span<const int64_t> said, const Vocabulary& vocabulary,
                         double window_seconds);

}  // namespace lv::audio
