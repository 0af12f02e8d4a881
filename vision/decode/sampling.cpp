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

std::vector<double> times_of(const PacedFrames& rule, TimeRange range, double frames_per_second,
                             const MediaLimits& limits, Warnings& warnings) {
  const double length = range.end - range.begin;
  const int64_t all = std::max<int64_t>(1, std::llround(length * frames_per_second));
  const int64_t most = std::min({rule.most, limits.max_frames, all});
  double wanted = static_cast<double>(all) / frames_per_second * rule.rate;
  // Halves go to the even number.
  if (rule.multiple == 1) wanted = std::nearbyint(wanted);
  wanted = std::max(wanted, static_cast<double>(rule.least));
  if (limits.max_frames < rule.most && wanted > static_cast<double>(limits.max_frames)) {
    warn_cut(std::min(wanted, static_cast<double>(rule.most)), limits.max_frames, warnings);
  }
  int64_t count = static_cast<int64_t>(std::min(wanted, static_cast<double>(most)));
  if (count >= rule.multiple) count -= count % rule.multiple;
  int64_t first = 0, last = all - 1;
  const double long_film = static_cast<double>(rule.most) * rule.rate;
  if (rule.skip_seconds > 0 && length - 2 * rule.skip_seconds > long_film) {
    const double skipped = rule.skip_seconds * frames_per_second;
    first = static_cast<int64_t>(skipped);
    last = std::min(last, static_cast<int64_t>(static_cast<double>(all) - skipped));
  }
  const double parts =
      static_cast<double>(rule.to_the_end ? std::max<int64_t>(count - 1, 1) : count);
  const double step = static_cast<double>(rule.to_the_end ? last - first : all) / parts;
  std::vector<double> times;
  for (int64_t i = 0; i < count; ++i) {
    const bool is_last = rule.to_the_end && i > 0 && i == count - 1;
    const double frame =
        is_last ? static_cast<double>(last)
                : std::floor(static_cast<double>(first) + static_cast<double>(i) * step);
    times.push_back(range.begin + (frame + 0.5) / frames_per_second);
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
