#include "vision/decode/picker.h"

#include <utility>

#include "vision/decode/scene_change.h"

namespace lv::vision {
namespace {

class AtTimes : public Picker {
 public:
  AtTimes(Film& film, std::vector<double> times) : film_(film), times_(std::move(times)) {}

  std::optional<Picture> next() override {
    while (at_ < times_.size()) {
      if (std::optional<Picture> picture = film_.shown_at(times_[at_++])) return picture;
    }
    return std::nullopt;
  }

  std::optional<int64_t> most_pictures() const override {
    return static_cast<int64_t>(times_.size());
  }

 private:
  Film& film_;
  const std::vector<double> times_;
  size_t at_ = 0;
};

class OnKeys : public Picker {
 public:
  OnKeys(Film& film, TimeRange range) : film_(film), range_(range) {}
  std::optional<Picture> next() override { return film_.next_key(range_.begin, range_.end); }

 private:
  Film& film_;
  const TimeRange range_;
};

class OnScenes : public Picker {
 public:
  OnScenes(Film& film, TimeRange range, double threshold)
      : film_(film), range_(range), threshold_(threshold) {}

  std::optional<Picture> next() override {
    while (std::optional<Picture> picture = film_.next_from(range_.begin, range_.end)) {
      if (change_.from_last(*picture) >= threshold_) return picture;
    }
    return std::nullopt;
  }

 private:
  Film& film_;
  const TimeRange range_;
  const double threshold_;
  SceneChange change_;
};

class One : public Picker {
 public:
  explicit One(Picture picture) : picture_(std::move(picture)) {}
  std::optional<Picture> next() override { return std::exchange(picture_, std::nullopt); }
  std::optional<int64_t> most_pictures() const override { return 1; }

 private:
  std::optional<Picture> picture_;
};

}  // namespace

std::unique_ptr<Picker> make_picker(Film& film, const SamplingRule& rule, TimeRange range,
                                    const MediaLimits& limits, Warnings& warnings) {
  return std::visit(
      [&](const auto& one) -> std::unique_ptr<Picker> {
        using Rule = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<Rule, KeyFrames>) {
          return std::make_unique<OnKeys>(film, range);
        } else if constexpr (std::is_same_v<Rule, SceneChanges>) {
          return std::make_unique<OnScenes>(film, range, one.threshold);
        } else if constexpr (std::is_same_v<Rule, PacedFrames>) {
          return std::make_unique<AtTimes>(
              film, times_of(one, range, film.frames_per_second(), limits, warnings));
        } else if constexpr (std::is_same_v<Rule, UsualFrames>) {
          return make_picker(film, UniformFrames(), range, limits, warnings);
        } else {
          return std::make_unique<AtTimes>(film, times_of(one, range, limits, warnings));
        }
      },
      rule);
}

std::unique_ptr<Picker> pick_one(Picture picture) {
  return std::make_unique<One>(std::move(picture));
}

}  // namespace lv::vision
