#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "services/stages.h"

namespace lv::services {

/// Stages that are quick and easy to check by hand.
///
/// decode: each byte of a file is one picture of 2 x 2 with that value, or one sample of sound.
///         A byte '!' throws kDataLoss.
/// listen: all sound as one text, "4 samples".
/// encode: one token a picture, twice its value, or as many times as the plan's last `times` says.
/// compress: "every" with the parameter step keeps each step-th token; others throw kNotFound.
/// generate: the words of the prompt, one a piece.
Stages small_stages();

/// What a slow stage tells of itself.
struct Observed {
  std::atomic<int> made{0};
  std::atomic<int> alive{0};                // sources that exist
  std::atomic<int64_t> destroyed_at_ns{0};  // steady clock, of the last source that went
};

/// Decodes for ever: a picture each `step`.
StagePtr<MediaRequest, FrameBatch> endless_video(std::shared_ptr<Observed> observed,
                                                 std::chrono::milliseconds step);

/// Frames of one value, [count, height, width, 3].
FrameBatch grey_frames(int64_t count, int64_t height, int64_t width, uint8_t value);

MediaRequest file_of(std::string bytes);
Prompt prompt_of(std::string text);

}  // namespace lv::services
