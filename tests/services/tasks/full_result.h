#pragma once

#include "services/tasks/result.h"

namespace lv::services {

/// A caption's result with something in every field.
inline TaskResult full_result() {
  TaskResult result;
  result.task = "caption";
  result.model = "nano";
  result.text = "A dog.";
  result.sources = {{"a.mp4", {MediaKind::kVideo, 9.80049, 640, 360}}};
  result.segments = {{0, 4.2, "A dog."}};
  result.transcript = {{0.4, 2.1, "Hello."}};
  result.language = "en";
  result.audio = AudioUse::kUsed;
  result.screen_text = {{1, 3, "EXIT", {0.1f, 0.2f, 0.3f, 0.25f}}};
  result.evidence = {
      {0, EvidenceKind::kTime, 0.4, 2.1, {}, {}, "Hello.", 0.5},
      {0, EvidenceKind::kBox, {}, {}, 3, std::array{0.1f, 0.2f, 0.3f, 0.25f}, "42", 1}};
  result.risk = Risk{"high", "red car",   "front",     2,
                     3.5,    "it brakes", "brake now", std::array{0.5f, 0.25f, 0.75f, 1.0f},
                     0.7};
  result.sampling = {{0, 1.5}};
  result.compression = {{"tome", 0.3, 5832, 1750, 0.93, 4.1}};
  result.tokens = {812, 5832, 1750, 3, 64};
  result.times = {9, 1, 2, 3, 4, 5, 16};
  result.peak_memory_bytes = 1 << 20;
  result.warnings = {"w"};
  return result;
}

}  // namespace lv::services
