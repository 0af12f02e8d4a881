#include "audio/decode/decode.h"

#include <cmath>
#include <utility>

#include "audio/decode/sound_reader.h"
#include "pipeline/base/error.h"

namespace lv::audio {
namespace {

class AudioDecode : public Stage<MediaRequest, AudioChunk> {
 public:
  explicit AudioDecode(double seconds_per_chunk) : seconds_per_chunk_(seconds_per_chunk) {}

  SourcePtr<AudioChunk> start(SourcePtr<MediaRequest> input) const override {
    return std::make_unique<Chunks>(seconds_per_chunk_, std::move(input));
  }

 private:
  class Chunks : public Source<AudioChunk> {
   public:
    Chunks(double seconds_per_chunk, SourcePtr<MediaRequest> input)
        : seconds_per_chunk_(seconds_per_chunk), input_(std::move(input)) {}

    std::optional<AudioChunk> next() override {
      while (true) {
        if (!sound_) {
          std::optional<MediaRequest> request = input_->next();
          if (!request) return std::nullopt;
          sound_ = std::make_unique<SoundReader>(std::move(*request), seconds_per_chunk_);
        }
        if (std::optional<AudioChunk> chunk = sound_->next()) return chunk;
        sound_.reset();
      }
    }

   private:
    const double seconds_per_chunk_;
    SourcePtr<MediaRequest> input_;
    std::unique_ptr<SoundReader> sound_;
  };

  const double seconds_per_chunk_;
};

}  // namespace

StagePtr<MediaRequest, AudioChunk> make_audio_decode(double seconds_per_chunk) {
  check(std::isfinite(seconds_per_chunk) && seconds_per_chunk >= 0.01 && seconds_per_chunk <= 3600,
        ErrorCode::kInvalidArgument,
        "seconds_per_chunk: expected 0.01 to 3600, got " + std::to_string(seconds_per_chunk));
  return std::make_shared<AudioDecode>(seconds_per_chunk);
}

}  // namespace lv::audio
