#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "pipeline/media/demuxer.h"
#include "pipeline/media/frame_reader.h"
#include "pipeline/media/resampler.h"
#include "pipeline/types/audio.h"

namespace lv::audio {

/// The chunks of one request; see make_audio_decode. Not thread-safe.
class SoundReader {
 public:
  SoundReader(MediaRequest request, double seconds_per_chunk);

  std::optional<AudioChunk> next();

 private:
  void jump_to_start();
  bool fill(size_t samples);
  void take(TimedFrame sound);
  void place_at(double seconds);
  void convert(const TimedFrame& sound);
  void trim();
  double start_of_stream() const;
  double end_of_buffer() const;

  const MediaRequest request_;
  const size_t chunk_samples_;
  const MediaInput input_;
  // The members below borrow those above them.
  Warnings warnings_;
  MediaInfo media_;
  std::unique_ptr<Demuxer> demuxer_;
  std::unique_ptr<FrameReader> reader_;
  Resampler resampler_;
  double end_seconds_ = 0;             // where reading stops
  bool end_is_limit_ = false;          // and whether a ceiling put it there
  std::vector<float> buffer_;          // sound that was not handed out
  double buffer_pts_ = 0;              // time of buffer_[0]
  std::optional<double> expected_;     // when the next sound should start
  int64_t silence_ = 0;                // samples to add before waiting_
  std::optional<TimedFrame> waiting_;  // read but not converted
  bool ended_ = false;
};

}  // namespace lv::audio
