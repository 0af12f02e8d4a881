#pragma once

#include <memory>
#include <optional>

#include "pipeline/media/film.h"
#include "vision/decode/sampling.h"

namespace lv::vision {

/// Picks the pictures of a film that a sampling rule asks for. Not thread-safe.
class Picker {
 public:
  virtual ~Picker() = default;
  /// The next picture, in order of time; nullopt at the end, for good.
  virtual std::optional<Picture> next() = 0;
  /// How many pictures come at most, if that is known.
  virtual std::optional<int64_t> most_pictures() const { return std::nullopt; }
};

/// `film` and `warnings` outlive the picker.
std::unique_ptr<Picker> make_picker(Film& film, const SamplingRule& rule, TimeRange range,
                                    const MediaLimits& limits, Warnings& warnings);

/// A picker of one picture.
std::unique_ptr<Picker> pick_one(Picture picture);

}  // namespace lv::vision
