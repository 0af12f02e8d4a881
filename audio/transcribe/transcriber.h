#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "audio/encoders/whisper.h"
#include "audio/features/log_mel.h"
#include "audio/transcribe/listen_options.h"
#include "audio/transcribe/token_rules.h"
#include "audio/transcribe/vocabulary.h"

namespace lv::audio {

/// One attempt at a window.
struct Attempt {
  std::vector<int64_t> ids;  // without the end token
  std::string text;
  double mean_logprob = 0;  // over the ids and the end
  double no_speech_probability = 0;
  double compression_ratio = 0;
  double temperature = 0;
};

/// Bytes of `text` for each byte that zlib deflates it to; 0 for no text.
double compression_ratio(const std::string& text);

/// Says what is heard in one window of sound: model, vocabulary and rules. Immutable.
class Transcriber {
 public:
  /// Reads a Whisper folder in either layout, with its tokenizer.json. Throws kInvalidArgument if
  /// the options ask for a language that the model does not have.
  Transcriber(const std::string& model_folder, ListenOptions options);
  Transcriber(const Transcriber&) = delete;  // rules_ refers to vocabulary_
  Transcriber& operator=(const Transcriber&) = delete;

  const Whisper& model() const { return model_; }
  const LogMel& log_mel() const { return log_mel_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }
  const ListenOptions& options() const { return options_; }

  /// The likeliest language of a window: [1, S, D] -> its code. "en" for an English-only model.
  std::string detect_language(const at::Tensor& encoded) const;

  /// The ids that come before the transcript: the end of `earlier`, then language and task.
  std::vector<int64_t> prompt(std::span<const int64_t> earlier, const std::string& language) const;

  /// The first attempt that passes the thresholds, else the likeliest of those that do not repeat
  /// themselves, with the last temperature.
  Attempt transcribe(const at::Tensor& encoded, std::span<const int64_t> prompt,
                     uint64_t seed) const;

  /// Whether the window holds no speech.
  bool is_silence(const Attempt& attempt) const;

 private:
  struct Start;
  Start start(const at::Tensor& encoded, std::span<const int64_t> prompt) const;
  Attempt attempt(Start& start, double temperature, uint64_t seed) const;
  bool acceptable(const Attempt& attempt) const;
  bool repeats(const Attempt& attempt) const {
    return attempt.compression_ratio > options_.compression_ratio_threshold;
  }
  bool unlikely(const Attempt& attempt) const {
    return attempt.mean_logprob < options_.logprob_threshold;
  }
  Transcriber(const std::string& model_folder, const Checkpoint& checkpoint, ListenOptions options);

  ListenOptions options_;
  Whisper model_;
  LogMel log_mel_;
  Vocabulary vocabulary_;
  TokenRules rules_;
};

}  // namespace lv::audio
