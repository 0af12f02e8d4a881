#include "services/tasks/listening.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"

namespace lv::services {
namespace {

/// Passes chunks on and notes what they say about the file.
class NotedAudio : public Source<AudioChunk> {
 public:
  NotedAudio(SourcePtr<AudioChunk> inner, TaskResult& result)
      : inner_(std::move(inner)), result_(result) {}

  std::optional<AudioChunk> next() override {
    std::optional<AudioChunk> chunk = inner_->next();
    if (chunk) {
      result_.warnings.insert(result_.warnings.end(), chunk->warnings.begin(),
                              chunk->warnings.end());
      MediaInfo& known = result_.sources.front().media;
      if (result_.sources.size() == 1 && known.kind == MediaKind::kUnknown) known = chunk->media;
    }
    return chunk;
  }

 private:
  SourcePtr<AudioChunk> inner_;
  TaskResult& result_;
};

bool is_about_the_file(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kDataLoss ||
         code == ErrorCode::kOutOfRange || code == ErrorCode::kUnimplemented;
}

AudioUse try_to_hear(const MediaRequest& source, const Stages& stages, StageClock& clock,
                     TaskResult& result, AudioTokens& features) {
  try {
    features = hear(source, stages, clock, result);
    return AudioUse::kUsed;
  } catch (const Error& problem) {
    if (problem.code() == ErrorCode::kNotFound) return AudioUse::kAbsent;
    if (!is_about_the_file(problem.code())) throw;
    result.warnings.push_back(std::string("sound left out: ") + problem.what());
    return AudioUse::kUndecodable;
  }
}

}  // namespace

AudioTokens hear(const MediaRequest& source, const Stages& stages, StageClock& clock,
                 TaskResult& result) {
  auto sound = timed(stages.decode_audio->start(source_of_one(source)), clock, result.times.decode);
  auto heard = timed(stages.listen->start(std::make_unique<NotedAudio>(std::move(sound), result)),
                     clock, result.times.listen);
  std::vector<at::Tensor> features, times;
  while (auto tokens = heard->next()) {
    if (stages.hears && tokens->features.defined() && tokens->features.size(0) > 0) {
      features.push_back(tokens->features);
      times.push_back(tokens->pts_seconds);
    }
    if (!tokens->language.empty()) result.language = tokens->language;
    for (SpeechSegment& segment : tokens->speech) result.transcript.push_back(std::move(segment));
  }
  if (features.empty()) return {};
  return {at::cat(features), at::cat(times), {}, {}};
}

std::vector<AudioTokens> listen_to(const std::vector<MediaRequest>& sources, const Stages& stages,
                                   StageClock& clock, TaskResult& result) {
  result.audio = AudioUse::kAbsent;
  std::vector<AudioTokens> heard(sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    const AudioUse use = try_to_hear(sources[i], stages, clock, result, heard[i]);
    if (use == AudioUse::kUsed || result.audio == AudioUse::kAbsent) result.audio = use;
  }
  return heard;
}

}  // namespace lv::services
