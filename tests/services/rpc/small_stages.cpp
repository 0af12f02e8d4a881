#include "tests/services/rpc/small_stages.h"

#include <ATen/ATen.h>

#include <sstream>
#include <thread>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/base/params.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

/// A stage made of a function that maps one input to any number of outputs, one at a time:
/// nullopt ends those of one input.
template <class In, class Out>
class Steps : public Stage<In, Out> {
 public:
  using Step = std::optional<Out> (*)(const In&, size_t index);
  explicit Steps(Step step) : step_(step) {}

  SourcePtr<Out> start(SourcePtr<In> input) const override {
    class Run : public Source<Out> {
     public:
      Run(Step step, SourcePtr<In> input) : step_(step), input_(std::move(input)) {}
      std::optional<Out> next() override {
        while (true) {
          if (!value_) {
            value_ = input_->next();
            index_ = 0;
          }
          if (!value_) return std::nullopt;
          if (auto out = step_(*value_, index_++)) return out;
          value_.reset();
        }
      }

     private:
      Step step_;
      SourcePtr<In> input_;
      std::optional<In> value_;
      size_t index_ = 0;
    };
    return std::make_unique<Run>(step_, std::move(input));
  }

 private:
  Step step_;
};

std::optional<uint8_t> byte_at(const MediaRequest& request, size_t index) {
  const auto* path = std::get_if<std::string>(&request.media);
  const std::string bytes =
      path ? read_file(*path) : *std::get<std::shared_ptr<const std::string>>(request.media);
  if (index >= bytes.size()) return std::nullopt;
  check(bytes[index] != '!', ErrorCode::kDataLoss,
        request.name + ": broken at byte " + std::to_string(index));
  return static_cast<uint8_t>(bytes[index]);
}

std::optional<FrameBatch> picture_of(const MediaRequest& request, size_t index) {
  const auto value = byte_at(request, index);
  if (!value) return std::nullopt;
  FrameBatch batch = grey_frames(1, 2, 2, *value);
  batch.pts_seconds += static_cast<double>(index);
  return batch;
}

std::optional<AudioChunk> sample_of(const MediaRequest& request, size_t index) {
  const auto value = byte_at(request, index);
  if (!value) return std::nullopt;
  AudioChunk chunk;
  chunk.samples = at::full({1, 1}, static_cast<float>(*value) / 256);
  chunk.sample_rate_hz = 16000;
  return chunk;
}

std::optional<TextDelta> word_of(const Prompt& prompt, size_t index) {
  std::istringstream words(std::get<std::string>(prompt.messages.at(0).parts.at(0)));
  TextDelta delta;
  for (size_t i = 0; i <= index; ++i) {
    if (!(words >> delta.text)) return std::nullopt;
  }
  words >> std::ws;
  delta.last = words.eof() || static_cast<int64_t>(index) + 1 == prompt.options.max_tokens;
  if (static_cast<int64_t>(index) >= prompt.options.max_tokens) return std::nullopt;
  delta.finish = delta.last ? FinishReason::kStop : FinishReason::kNone;
  delta.generated_tokens = delta.last ? static_cast<int64_t>(index) + 1 : 0;
  return delta;
}

TokenOrigin origin_of(const at::Tensor& pts_seconds) {
  const int64_t count = pts_seconds.size(0);
  return {pts_seconds, at::zeros({count}, at::kInt), at::ones({count, 4}),
          at::full({count}, kObserved, at::kByte), at::zeros({count, 2}, at::kInt)};
}

class Times : public MapStage<FrameBatch, VisualTokens> {
 public:
  explicit Times(int64_t factor) : factor_(factor) {}

  VisualTokens map(FrameBatch batch) const override {
    const int64_t count = batch.pixels.size(0);
    VisualTokens tokens;
    tokens.features = factor_ * batch.pixels.to(at::kFloat).flatten(1).mean(1, true);
    tokens.offsets = at::arange(count + 1, at::kInt);
    tokens.grids.assign(static_cast<size_t>(count), {1, 1});
    tokens.origin = origin_of(batch.pts_seconds);
    tokens.origin.source.fill_(batch.source);
    return tokens;
  }

 private:
  int64_t factor_;
};

StagePtr<FrameBatch, VisualTokens> make_encode(const std::vector<CompressionSpec>& specs) {
  int64_t factor = 2;
  for (const CompressionSpec& spec : specs) factor = Params(spec.params).get("times", factor);
  return std::make_shared<Times>(factor);
}

class Counting : public Stage<AudioChunk, AudioTokens> {
 public:
  SourcePtr<AudioTokens> start(SourcePtr<AudioChunk> input) const override {
    class Run : public Source<AudioTokens> {
     public:
      explicit Run(SourcePtr<AudioChunk> input) : input_(std::move(input)) {}
      std::optional<AudioTokens> next() override {
        if (std::exchange(ended_, true)) return std::nullopt;
        int64_t samples = 0;
        while (const auto chunk = input_->next()) samples += chunk->samples.size(1);
        AudioTokens tokens;
        tokens.speech = {{0, 1, std::to_string(samples) + " samples"}};
        return tokens;
      }

     private:
      SourcePtr<AudioChunk> input_;
      bool ended_ = false;
    };
    return std::make_unique<Run>(std::move(input));
  }
};

class KeepEvery : public MapStage<ClipTokens, VisualContext> {
 public:
  explicit KeepEvery(int64_t step) : step_(step) {}
  VisualContext map(ClipTokens clip) const override {
    CompressedTokens tokens;
    tokens.embeddings = clip.visual.features.slice(0, 0, std::nullopt, step_);
    tokens.sizes = at::full({tokens.embeddings.size(0)}, static_cast<float>(step_));
    tokens.origin = origin_of(clip.visual.origin.pts_seconds.slice(0, 0, std::nullopt, step_));
    return tokens;
  }

 private:
  int64_t step_;
};

StagePtr<ClipTokens, VisualContext> make_compress(const std::vector<CompressionSpec>& specs) {
  int64_t step = 1;
  for (const CompressionSpec& spec : specs) {
    check(spec.method == "every", ErrorCode::kNotFound, "compressor '" + spec.method + "'");
    Params params(spec.params);
    step *= params.get("step", 1);
  }
  return std::make_shared<KeepEvery>(step);
}

class Endless : public Stage<MediaRequest, FrameBatch> {
 public:
  Endless(std::shared_ptr<Observed> observed, std::chrono::milliseconds step)
      : observed_(std::move(observed)), step_(step) {}

  SourcePtr<FrameBatch> start(SourcePtr<MediaRequest> input) const override {
    class Run : public Source<FrameBatch> {
     public:
      Run(std::shared_ptr<Observed> observed, std::chrono::milliseconds step,
          SourcePtr<MediaRequest> input)
          : observed_(std::move(observed)), step_(step), input_(std::move(input)) {
        ++observed_->alive;
      }
      ~Run() override {
        observed_->destroyed_at_ns = std::chrono::steady_clock::now().time_since_epoch().count();
        --observed_->alive;
      }
      std::optional<FrameBatch> next() override {
        if (observed_->made == 0) input_->next();
        std::this_thread::sleep_for(step_);
        ++observed_->made;
        return grey_frames(1, 2, 2, 7);
      }

     private:
      std::shared_ptr<Observed> observed_;
      std::chrono::milliseconds step_;
      SourcePtr<MediaRequest> input_;
    };
    return std::make_unique<Run>(observed_, step_, std::move(input));
  }

 private:
  std::shared_ptr<Observed> observed_;
  std::chrono::milliseconds step_;
};

}  // namespace

Stages small_stages() {
  Stages stages;
  stages.decode_video = std::make_shared<Steps<MediaRequest, FrameBatch>>(picture_of);
  stages.decode_audio = std::make_shared<Steps<MediaRequest, AudioChunk>>(sample_of);
  stages.listen = std::make_shared<Counting>();
  stages.encode = make_encode;
  stages.compress = make_compress;
  stages.generate = std::make_shared<Steps<Prompt, TextDelta>>(word_of);
  return stages;
}

StagePtr<MediaRequest, FrameBatch> endless_video(std::shared_ptr<Observed> observed,
                                                 std::chrono::milliseconds step) {
  return std::make_shared<Endless>(std::move(observed), step);
}

FrameBatch grey_frames(int64_t count, int64_t height, int64_t width, uint8_t value) {
  FrameBatch batch;
  batch.pixels = at::full({count, height, width, 3}, value, at::kByte);
  batch.pts_seconds = at::arange(count, at::kDouble);
  return batch;
}

MediaRequest file_of(std::string bytes) {
  MediaRequest request;
  request.media = std::make_shared<const std::string>(std::move(bytes));
  request.name = "film";
  return request;
}

Prompt prompt_of(std::string text) {
  Prompt prompt;
  prompt.messages = {{"user", {std::move(text)}}};
  return prompt;
}

}  // namespace lv::services
