#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lv::audio {

/// How speech becomes text. The defaults are those of the published model.
struct ListenOptions {
  std::string language;  // ISO 639-1; detected in the first window if empty
  /// Tried in order until an attempt passes the thresholds below; 0 is greedy.
  std::vector<double> temperatures = {0, 0.2, 0.4, 0.6, 0.8, 1};
  double compression_ratio_threshold = 2.4;  // an attempt that deflates better repeats itself
  double logprob_threshold = -1;             // an attempt less likely than this (mean) is wrong
  double no_speech_threshold = 0.6;          // an unlikely attempt above this is silence
  bool condition_on_previous_text = true;
  double prompt_reset_temperature = 0.5;  // text said at more than this prompts nothing
  double max_initial_timestamp_seconds = 1;
  uint64_t seed = 0;  // of attempts at temperatures above 0
  c10::Device device = c10::kCPU;
};

}  // namespace lv::audio
