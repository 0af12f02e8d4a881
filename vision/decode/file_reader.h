#pragma once

#include <memory>
#include <optional>

#include "pipeline/media/color_converter.h"
#include "pipeline/media/demuxer.h"
#include "pipeline/media/film.h"
#include "pipeline/types/frames.h"
#include "vision/decode/picker.h"

namespace lv::vision {

/// The batches of one request; see make_video_decode. Not thread-safe.
class FileReader {
 public:
  /// Reads the headers and the first picture.
  FileReader(MediaRequest request, int64_t frames_per_batch, at::Device device = at::kCPU,
             SeekRule seek_rule = SeekRule::kWhenCheaper);

  std::optional<FrameBatch> next();

  const MediaInfo& media() const { return media_; }
  /// The film that is read, or nullptr for a still.
  const Film* film() const { return film_.get(); }

 private:
  void open_film(SeekRule seek_rule);
  void open_range(int stream);
  std::optional<Picture> pick();
  void report_early_end();
  [[noreturn]] void throw_nothing() const;
  Orientation orientation_of(const Picture& picture) const;

  const MediaRequest request_;
  const int64_t frames_per_batch_;
  const at::Device device_;  // that decodes films
  const MediaInput input_;
  // The members below borrow those above them.
  Warnings warnings_;
  MediaInfo media_;
  Orientation orientation_ = 1;  // of pictures that do not say themselves
  std::unique_ptr<Demuxer> demuxer_;
  std::unique_ptr<Film> film_;
  std::unique_ptr<Picker> picker_;
  TimeRange range_;
  ColorConverter converter_;
  std::optional<Picture> pending_;  // picked but not in a batch: where none follows, every warning
                                    // is known when the last batch leaves
  int64_t picked_ = 0;
  int64_t picked_pixels_ = 0;
};

}  // namespace lv::vision
