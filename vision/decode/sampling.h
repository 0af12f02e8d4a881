#pragma once

#include <vector>

#include "pipeline/media/warnings.h"
#include "pipeline/types/media.h"

namespace lv::vision {

/// [begin, end) in seconds.
struct TimeRange {
  double begin = 0;
  double end = 0;
};

/// The part of the film [film.begin, film.end) that the sampling and the ceiling on seconds leave.
/// Throws kOutOfRange if that is nothing.
TimeRange sampled_range(const Sampling& sampling, const MediaLimits& limits, TimeRange film,
                        Warnings& warnings);

/// The times at which a rule that names times wants a picture, ascending, at most
/// limits.max_frames of them (a warning says what that cut off).
std::vector<double> times_of(const UniformFrames& rule, TimeRange range, const MediaLimits& limits,
                             Warnings& warnings);
std::vector<double> times_of(const FramesPerSecond& rule, TimeRange range,
                             const MediaLimits& limits, Warnings& warnings);
/// `frames_per_second` is the film's own. Times are in the middle of a picture of such a film.
/// Reference: sample_frames of transformers' SmolVLMVideoProcessor and Qwen2VLVideoProcessor.
std::vector<double> times_of(const PacedFrames& rule, TimeRange range, double frames_per_second,
                             const MediaLimits& limits, Warnings& warnings);
std::vector<double> times_of(const FramesAt& rule, TimeRange range, const MediaLimits& limits,
                             Warnings& warnings);

}  // namespace lv::vision
