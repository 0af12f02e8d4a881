#pragma once

#include <span>
#include <string>

#include "pipeline/types/audio.h"

namespace lv::audio {

/// The words alone, segments joined by a space.
std::string to_text(std::span<const SpeechSegment> speech);

/// SubRip: numbered blocks with times as 01:02:03,456.
std::string to_srt(std::span<const SpeechSegment> speech);

/// WebVTT (W3C), times as 01:02:03.456; &, < and > are escaped.
std::string to_vtt(std::span<const SpeechSegment> speech);

}  // namespace lv::audio
