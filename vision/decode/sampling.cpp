#include "vision/decode/sampling.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "pipeline/base/error.h"

namespace lv::vision {
namespace {

std::string text_of(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f s", seconds);
  return text;
}

void warn_cut(double wanted, int64_t kept, Warnings& warnings) {
  char text[96];
  std::snprintf(text, sizeof(text), "%.0f pictures wanted, the limit is %lld", wanted,
                static_cast<long long>(kept));
  warnings.add(text);
}

}  // namespace

TimeRange sampled_range(const Sampling& sampling, const MediaLimits& limits, TimeRange film,
                        Warnings& warnings) {
  TimeRange range{std::max(sampling.start_seconds, film.begin), film.end};
  if (range.begin >= range.end) {
    throw Error(ErrorCode::kOutOfRange, warnings.name() +
                                            ": expected a start before the film's end at " +
                                            text_of(film.end) + ", got " + text_of(range.begin));
  }
  if (sampling.end_seconds) range.end = std::min(range.end, *sampling.end_seconds);
  if (range.begin >= range.end) {
    throw Error(ErrorCode::kOutOfRange, warnings.name() +
                                            ": expected an end after the film's start at " +
                                            text_of(film.begin) + ", got " + text_of(range.end));
  }
  if (range.end - range.begin > limits.max_seconds) {
    warnings.add("only the first " + text_of(limits.max_seconds) + " of " +
                 text_of(range.end - range.begin) + " are read, which is the limit");
    range.end = range.begin + limits.max_seconds;
  }
  return range;
}

std::vector<double> times_of(const UniformFrames& rule, TimeRange range, const MediaLimits& limits,
                             Warnings& warnings) {
  // Fewer pictures over the whole range, rather than its first part.
  const int64_t count = std::min(rule.count, limits.max_frames);
  if (count < rule.count) warn_cut(static_cast<double>(rule.count), count, warnings);
  std::vector<double> times;
  const double part = (range.end - range.begin) / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    times.push_back(range.begin + (static_cast<double>(i) + 0.5) * part);
  }
  return times;
}

std::vector<double> times_of(const FramesPerSecond& rule, TimeRange range,
                             const MediaLimits& limits, Warnings& warnings) {
  // A film of exactly n / rate seconds has n times, not one more by rounding.
  const double wanted = std::max(1.0, std::ceil((range.end - range.begin) * rule.rate - 1e-6));
  const double count = std::min(wanted, static_cast<double>(limits.max_frames));
  if (count < wanted) warn_cut(wanted, limits.max_frames, warnings);
  std::vector<double> times;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
    times.push_back(range.begin + static_cast<double>(i) / rule.rate);
  }
  return times;
}

std::vector<double> times_of(const FramesAt& rule, TimeRange range, const MediaLimits& limits,
                             Warnings& warnings) {
  std::vector<double> times = rule.seconds;
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  for (const double seconds : times) {
    if (seconds < range.begin || seconds >= range.end) {
      warnings.add("nothing is shown at " + text_of(seconds));
    }
  }
  std::erase_if(times, [&](double t) { return t < range.begin || t >= range.end; });
  if (static_cast<int64_t>(times.size()) > limits.max_frames) {
    warn_cut(static_cast<double>(times.size()), limits.max_frames, warnings);
    times.resize(static_cast<size_t>(limits.max_frames));
  }
  return times;
}

}  // namespace lv::vision
