#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "pipeline/types/media.h"

namespace lv {

struct AudioChunk {
  at::Tensor samples;  // [C, S] float32 in [-1, 1]
  int sample_rate_hz = 0;
  double pts_seconds = 0;             // time of samples[:, 0]
  MediaInfo media;                    // of the file it came from
  std::vector<std::string> warnings;  // what could not be read since the chunk before
};

/// Words that were said on [start, end).
struct SpeechSegment {
  double start_seconds = 0;
  double end_seconds = 0;
  std::string text;
};

/// What was heard: features for combiners, words for prompts. Either may be empty.
struct AudioTokens {
  at::Tensor features;                // [M, D]
  at::Tensor pts_seconds;             // [M] float64
  std::vector<SpeechSegment> speech;  // in order of time
  std::string language;               // ISO 639-1, e.g. "en"
};

/// What became of a file's sound. A result always says which.
enum class AudioUse { kUsed, kAbsent, kUndecodable, kDisabled };

void validate(const AudioChunk& chunk);
void validate(const AudioTokens& tokens);

}  // namespace lv
