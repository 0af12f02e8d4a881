#include "longview/v1/audio.pb.h"
#include "services/codec/codec.h"
#include "services/codec/fields.h"

namespace lv::services {

void to_proto(const AudioChunk& chunk, v1::AudioChunk* message) {
  message->Clear();
  put(chunk.samples, message, &v1::AudioChunk::mutable_samples);
  message->set_sample_rate_hz(chunk.sample_rate_hz);
  message->set_pts_seconds(chunk.pts_seconds);
  to_proto(chunk.media, message->mutable_media());
  put_texts(chunk.warnings, message->mutable_warnings());
}

AudioChunk from_proto(Received<v1::AudioChunk> message) {
  AudioChunk chunk;
  chunk.samples = take_tensor(part_of(message, message->samples()), "audio.samples");
  chunk.sample_rate_hz = message->sample_rate_hz();
  chunk.pts_seconds = message->pts_seconds();
  check_number(chunk.pts_seconds, "audio.pts_seconds", std::numeric_limits<double>::lowest());
  chunk.media = from_proto(message->media());
  chunk.warnings.assign(message->warnings().begin(), message->warnings().end());
  validate(chunk);
  return chunk;
}

void to_proto(const SpeechSegment& segment, v1::SpeechSegment* message) {
  message->set_start_seconds(segment.start_seconds);
  message->set_end_seconds(segment.end_seconds);
  message->set_text(valid_utf8(segment.text));
}

SpeechSegment from_proto(const v1::SpeechSegment& message) {
  check_number(message.start_seconds(), "speech.start_seconds",
               std::numeric_limits<double>::lowest());
  check_number(message.end_seconds(), "speech.end_seconds", message.start_seconds());
  return {message.start_seconds(), message.end_seconds(), message.text()};
}

void to_proto(const AudioTokens& tokens, v1::AudioTokens* message) {
  message->Clear();
  put(tokens.features, message, &v1::AudioTokens::mutable_features);
  put(tokens.pts_seconds, message, &v1::AudioTokens::mutable_pts_seconds);
  for (const SpeechSegment& segment : tokens.speech) to_proto(segment, message->add_speech());
  message->set_language(valid_utf8(tokens.language));
}

AudioTokens from_proto(Received<v1::AudioTokens> message) {
  AudioTokens tokens;
  if (message->has_features()) {
    tokens.features = take_tensor(part_of(message, message->features()), "audio.features");
  }
  if (message->has_pts_seconds()) {
    tokens.pts_seconds = take_tensor(part_of(message, message->pts_seconds()), "audio.pts_seconds");
  }
  for (const auto& segment : message->speech()) tokens.speech.push_back(from_proto(segment));
  tokens.language = message->language();
  validate(tokens);
  return tokens;
}

}  // namespace lv::services
