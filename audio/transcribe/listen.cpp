#include "audio/transcribe/listen.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "audio/transcribe/split_window.h"
#include "audio/transcribe/transcriber.h"
#include "pipeline/base/error.h"

namespace lv::audio {
namespace {

constexpr int64_t kHop = LogMel::kHop;
constexpr int64_t kMargin = LogMel::kWindow / 2;  // samples that a column sees on either side
constexpr double kJumpSeconds = 0.2;
constexpr double kColumnSeconds = static_cast<double>(kHop) / LogMel::kSampleRate;

/// The samples of a stream without jumps, from the start of the window on.
class SampleQueue {
 public:
  /// Samples from the window's start on.
  int64_t size() const { return static_cast<int64_t>(samples_.size()) - before_; }
  double start_seconds() const { return start_seconds_; }
  double end_seconds() const {
    return start_seconds_ + static_cast<double>(size()) / LogMel::kSampleRate;
  }

  /// Starts anew at this time.
  void restart(double seconds) {
    samples_.clear();
    before_ = 0;
    start_seconds_ = seconds;
  }

  void push(const at::Tensor& samples) {
    const at::Tensor flat = samples.contiguous();
    samples_.insert(samples_.end(), flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  }

  /// Moves the window's start; keeps what its first column sees before it.
  void advance(int64_t count) {
    count = std::min(count, size());
    const int64_t keep = std::min(before_ + count, kMargin);
    samples_.erase(samples_.begin(), samples_.begin() + (before_ + count - keep));
    before_ = keep;
    start_seconds_ += static_cast<double>(count) / LogMel::kSampleRate;
  }

  /// The window with its margins: [kMargin + count + kMargin]. Reflected before the first sample of
  /// all, silent after the last.
  at::Tensor window(int64_t count) const {
    at::Tensor out = at::zeros({count + 2 * kMargin}, at::kFloat);
    float* to = out.data_ptr<float>();
    const auto available = static_cast<int64_t>(samples_.size());
    for (int64_t i = 0; i < out.numel(); ++i) {
      int64_t from = i - kMargin + before_;
      if (from < 0) from = before_ == 0 ? -from : available;
      if (from < available) to[i] = samples_[static_cast<size_t>(from)];
    }
    return out;
  }

 private:
  std::vector<float> samples_;
  int64_t before_ = 0;  // samples kept from before the window: 0 at first, then kMargin
  double start_seconds_ = 0;
};

class Listener : public Source<AudioTokens> {
 public:
  Listener(std::shared_ptr<const Transcriber> transcriber, SourcePtr<AudioChunk> input)
      : transcriber_(std::move(transcriber)),
        input_(std::move(input)),
        language_(transcriber_->options().language),
        loudest_(at::full({1, 1, 1}, -std::numeric_limits<float>::infinity())) {}

  std::optional<AudioTokens> next() override {
    while (true) {
      fill();
      const int64_t columns =
          std::min(queue_.size() / kHop, transcriber_->log_mel().chunk_columns());
      if (columns > 0) return hear(columns);
      if (!after_jump_) return std::nullopt;
      restart();
    }
  }

 private:
  /// Reads on until the window is full or the stretch of sound ends.
  void fill() {
    const int64_t wanted = transcriber_->log_mel().chunk_samples() + kMargin;
    while (!ended_ && !after_jump_ && queue_.size() < wanted) {
      auto chunk = input_->next();
      if (!chunk) {
        ended_ = true;
        return;
      }
      check_chunk(*chunk);
      if (chunk->samples.numel() == 0) continue;
      if (!started_) queue_.restart(chunk->pts_seconds);
      started_ = true;
      if (std::abs(chunk->pts_seconds - queue_.end_seconds()) > kJumpSeconds) {
        after_jump_ = std::move(chunk);
        return;
      }
      queue_.push(chunk->samples);
    }
  }

  static void check_chunk(const AudioChunk& chunk) {
    validate(chunk);
    check(chunk.sample_rate_hz == LogMel::kSampleRate && chunk.samples.size(0) == 1,
          ErrorCode::kInvalidArgument,
          "listen: expected one channel at 16000 Hz, got " + std::to_string(chunk.samples.size(0)) +
              " at " + std::to_string(chunk.sample_rate_hz) + " Hz");
  }

  void restart() {
    queue_.restart(after_jump_->pts_seconds);
    queue_.push(after_jump_->samples);
    after_jump_.reset();
  }

  /// The encoder's input: columns of sound, then zeros. [1, mels, chunk_columns]
  at::Tensor features(int64_t columns) {
    const LogMel& log_mel = transcriber_->log_mel();
    const at::Tensor samples = queue_.window((columns - 1) * kHop);
    const at::Tensor logs = log_mel.energies(samples.unsqueeze(0));  // [1, mels, columns]
    loudest_ = at::maximum(loudest_, logs.max());
    return at::constant_pad_nd(LogMel::limit_range(logs, loudest_),
                               {0, log_mel.chunk_columns() - columns});
  }

  AudioTokens hear(int64_t columns) {
    const double window_seconds = static_cast<double>(columns) * kColumnSeconds;
    const at::Tensor encoded =
        transcriber_->model().encode(features(columns).to(transcriber_->options().device));
    if (language_.empty()) language_ = transcriber_->detect_language(encoded);
    const auto prompt = transcriber_->prompt(earlier_, language_);
    const Attempt said =
        transcriber_->transcribe(encoded, prompt, transcriber_->options().seed + 16 * windows_++);

    AudioTokens heard;
    heard.language = language_;
    SplitWindow split;
    split.next_seconds = window_seconds;
    if (!transcriber_->is_silence(said)) {
      split = split_window(said.ids, transcriber_->vocabulary(), window_seconds);
    }
    for (const SaidSegment& segment : split.segments) add(segment, window_seconds, heard);
    add_features(encoded[0], heard);
    if (!transcriber_->options().condition_on_previous_text ||
        said.temperature > transcriber_->options().prompt_reset_temperature) {
      earlier_.clear();
    }
    queue_.advance(std::llround(split.next_seconds / kColumnSeconds) * kHop);
    return heard;
  }

  void add(const SaidSegment& segment, double window_seconds, AudioTokens& heard) {
    const double start = segment.start_seconds;
    const double end = std::min(segment.end_seconds, window_seconds);
    const std::string raw = transcriber_->vocabulary().text(segment.ids);
    const std::string_view text = trimmed(raw);
    if (start >= end || text.empty()) return;
    heard.speech.push_back(
        {queue_.start_seconds() + start, queue_.start_seconds() + end, std::string(text)});
    earlier_.insert(earlier_.end(), segment.ids.begin(), segment.ids.end());
    const auto most = static_cast<size_t>(transcriber_->model().shape().target_positions);
    if (earlier_.size() > most) earlier_.erase(earlier_.begin(), earlier_.end() - most);
  }

  /// The encoder's rows under the speech. encoded: [S, D]
  void add_features(const at::Tensor& encoded, AudioTokens& heard) const {
    std::vector<int64_t> rows;
    std::vector<double> times;
    for (int64_t row = 0; row < encoded.size(0); ++row) {
      const double time = queue_.start_seconds() + static_cast<double>(row) * 2 * kColumnSeconds;
      const bool spoken = std::any_of(
          heard.speech.begin(), heard.speech.end(),
          [&](const SpeechSegment& s) { return time >= s.start_seconds && time < s.end_seconds; });
      if (!spoken) continue;
      rows.push_back(row);
      times.push_back(time);
    }
    heard.features = encoded.index_select(0, at::tensor(rows, at::kLong).to(encoded.device()));
    heard.pts_seconds = at::tensor(times, at::kDouble);
  }

  std::shared_ptr<const Transcriber> transcriber_;
  SourcePtr<AudioChunk> input_;
  SampleQueue queue_;
  std::optional<AudioChunk> after_jump_;  // what comes after the stretch that is being heard
  std::string language_;
  std::vector<int64_t> earlier_;  // what was said, as a prompt for the next window
  at::Tensor loudest_;            // [1, 1, 1], log10 energy
  uint64_t windows_ = 0;
  bool started_ = false;
  bool ended_ = false;
};

class Listen : public Stage<AudioChunk, AudioTokens> {
 public:
  explicit Listen(std::shared_ptr<const Transcriber> transcriber)
      : transcriber_(std::move(transcriber)) {}
  SourcePtr<AudioTokens> start(SourcePtr<AudioChunk> input) const override {
    return std::make_unique<Listener>(transcriber_, std::move(input));
  }

 private:
  std::shared_ptr<const Transcriber> transcriber_;
};

}  // namespace

StagePtr<AudioChunk, AudioTokens> make_listen(const std::string& model_folder,
                                              ListenOptions options) {
  return make_listen(std::make_shared<const Transcriber>(model_folder, std::move(options)));
}

StagePtr<AudioChunk, AudioTokens> make_listen(std::shared_ptr<const Transcriber> transcriber) {
  return std::make_shared<Listen>(std::move(transcriber));
}

}  // namespace lv::audio
