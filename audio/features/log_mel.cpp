#include "audio/features/log_mel.h"

#include <ATen/ATen.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"

namespace lv::audio {
namespace {

constexpr double kNyquist = LogMel::kSampleRate / 2.0;
constexpr double kLinearHz = 200.0 / 3.0;           // a mel below the break
constexpr double kBreakHz = 1000.0;                 // linear below, logarithmic above
constexpr double kBreakMel = kBreakHz / kLinearHz;  // 15
const double kLogStep = std::log(6.4) / 27.0;       // of frequency, a mel above the break

double mel_of(double hz) {
  return hz < kBreakHz ? hz / kLinearHz : kBreakMel + std::log(hz / kBreakHz) / kLogStep;
}

double hz_of(double mel) {
  return mel < kBreakMel ? mel * kLinearHz : kBreakHz * std::exp((mel - kBreakMel) * kLogStep);
}

void check_key(const Json& config, const char* key, int64_t expected) {
  const int64_t got = config.get(key, expected);
  check(got == expected, ErrorCode::kInvalidArgument,
        std::string("preprocessor_config.json: ") + key + ": expected " + std::to_string(expected) +
            ", got " + std::to_string(got));
}

}  // namespace

LogMelOptions read_log_mel_options(const std::string& model_folder) {
  const std::string path = model_folder + "/preprocessor_config.json";
  LogMelOptions options;
  if (!std::filesystem::exists(path)) return options;
  const Json config = read_json_file(path, 64 << 20);
  check_key(config, "sampling_rate", LogMel::kSampleRate);
  check_key(config, "n_fft", LogMel::kWindow);
  check_key(config, "hop_length", LogMel::kHop);
  options.mels = config.get("feature_size", options.mels);
  options.chunk_seconds = config.get("chunk_length", options.chunk_seconds);
  return options;
}

at::Tensor slaney_filters(int64_t mels) {
  const int64_t bins = LogMel::kWindow / 2 + 1;
  std::vector<double> corners(static_cast<size_t>(mels) + 2);
  for (size_t i = 0; i < corners.size(); ++i) {
    corners[i] = hz_of(mel_of(kNyquist) * static_cast<double>(i) / static_cast<double>(mels + 1));
  }
  at::Tensor filters = at::zeros({mels, bins}, at::kFloat);
  float* out = filters.data_ptr<float>();
  for (int64_t m = 0; m < mels; ++m) {
    const double low = corners[m], peak = corners[m + 1], high = corners[m + 2];
    for (int64_t k = 0; k < bins; ++k) {
      const double hz = kNyquist * static_cast<double>(k) / static_cast<double>(bins - 1);
      const double height = std::min((hz - low) / (peak - low), (high - hz) / (high - peak));
      out[m * bins + k] = static_cast<float>(std::max(0.0, height) * 2.0 / (high - low));
    }
  }
  return filters;
}

LogMel::LogMel(LogMelOptions options) : options_(options) {
  check(options.mels >= 1 && options.mels <= 256, ErrorCode::kInvalidArgument,
        "log-mel: expected 1 to 256 bands, got " + std::to_string(options.mels));
  check(options.chunk_seconds >= 1 && options.chunk_seconds <= 3600, ErrorCode::kInvalidArgument,
        "log-mel: expected a chunk of 1 to 3600 s, got " + std::to_string(options.chunk_seconds));
  window_ = at::hann_window(kWindow, /*periodic=*/true, at::kFloat);
  filters_ = slaney_filters(options.mels);
}

at::Tensor LogMel::operator()(const at::Tensor& waveform) const {
  const at::Tensor rows = waveform.dim() == 1 ? waveform.unsqueeze(0) : waveform;
  check_shape(rows, "waveform", {-1, -1});
  check_dtype(rows, "waveform", at::kFloat);
  const int64_t length = chunk_samples();
  const int64_t used = std::min(rows.size(1), length);
  at::Tensor chunk = at::constant_pad_nd(rows.slice(1, 0, used), {0, length - used});
  chunk = at::reflection_pad1d(chunk, {kWindow / 2, kWindow / 2});
  const at::Tensor logs = energies(chunk).slice(2, 0, chunk_columns());
  return limit_range(logs, logs.amax({1, 2}, /*keepdim=*/true));
}

at::Tensor LogMel::energies(const at::Tensor& samples) const {
  check_shape(samples, "samples", {-1, -1});
  check(samples.size(1) >= kWindow, ErrorCode::kInvalidArgument,
        "samples: expected at least " + std::to_string(kWindow) + ", got " +
            std::to_string(samples.size(1)));
  const at::Tensor framed = samples.unfold(1, kWindow, kHop) * window_;           // [B, T, 400]
  const at::Tensor spectrum = at::view_as_real(at::fft_rfft(framed));             // [B, T, 201, 2]
  const at::Tensor power = spectrum.square().sum(-1);                             // [B, T, 201]
  return at::matmul(filters_, power.transpose(1, 2)).clamp_min_(1e-10).log10_();  // [B, mels, T]
}

at::Tensor LogMel::limit_range(const at::Tensor& energies, const at::Tensor& loudest) {
  return (at::maximum(energies, loudest - 8.0) + 4.0) / 4.0;
}

}  // namespace lv::audio
