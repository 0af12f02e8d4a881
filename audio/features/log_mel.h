#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace lv::audio {

struct LogMelOptions {
  int64_t mels = 80;
  int64_t chunk_seconds = 30;
};

/// Reads `feature_size` and `chunk_length` of a folder's preprocessor_config.json; the defaults if
/// there is no such file. Throws kInvalidArgument if another sampling rate, window or hop is asked.
LogMelOptions read_log_mel_options(const std::string& model_folder);

/// Whisper's picture of sound: the logarithm of energy in Slaney mel bands, 100 columns a second.
/// Immutable.
///
/// Reference: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022,
/// section 2.2; mel scale and area normalisation: Slaney, Auditory Toolbox, 1998.
class LogMel {
 public:
  static constexpr int kSampleRate = 16000;
  static constexpr int64_t kWindow = 400;  // samples under one Hann window
  static constexpr int64_t kHop = 160;     // samples from column to column

  /// Throws kInvalidArgument unless 1 <= mels <= 256 and 1 <= chunk_seconds <= 3600.
  explicit LogMel(LogMelOptions options = {});

  int64_t mels() const { return options_.mels; }
  int64_t chunk_samples() const { return options_.chunk_seconds * kSampleRate; }
  int64_t chunk_columns() const { return chunk_samples() / kHop; }

  /// One chunk: [S] or [B, S] float -> [B, mels, chunk_columns()]. The sound is cut or filled with
  /// silence to chunk_samples() and reflected at both ends; each row of the batch has its own
  /// range.
  at::Tensor operator()(const at::Tensor& waveform) const;

  /// log10 of the band energies, at least 1e-10, before the range is limited. Column t sees samples
  /// [t * kHop, t * kHop + kWindow): [B, kWindow + (T - 1) * kHop] float -> [B, mels, T].
  at::Tensor energies(const at::Tensor& samples) const;

  /// What a model reads: log energies no more than 8 below `loudest`, scaled to about [-1, 1].
  static at::Tensor limit_range(const at::Tensor& energies, const at::Tensor& loudest);

 private:
  LogMelOptions options_;
  at::Tensor window_;   // [kWindow]
  at::Tensor filters_;  // [mels, kWindow / 2 + 1]
};

/// Triangles that are even on the mel scale from 0 to 8000 Hz, each of area 1: [mels, 201].
at::Tensor slaney_filters(int64_t mels);

}  // namespace lv::audio
