#pragma once

#include "pipeline/types/audio.h"
#include "pipeline/types/frames.h"
#include "pipeline/types/media.h"
#include "pipeline/types/prompt.h"
#include "pipeline/types/visual_tokens.h"
#include "services/codec/messages.h"
#include "services/stages.h"

namespace lv::services {

// One pair a type. to_proto() overwrites the message and copies each tensor once. from_proto()
// trusts nothing: it validates the value and throws kInvalidArgument that names the field.

void to_proto(const Sampling& sampling, v1::Sampling* message);
Sampling from_proto(const v1::Sampling& message);

void to_proto(const MediaLimits& limits, v1::MediaLimits* message);
/// The smaller of what the message asks for and `ceilings`, field by field.
MediaLimits from_proto(const v1::MediaLimits& message, const MediaLimits& ceilings);

void to_proto(const MediaInfo& media, v1::MediaInfo* message);
MediaInfo from_proto(const v1::MediaInfo& message);

void to_proto(const FrameBatch& batch, v1::FrameBatch* message);
FrameBatch from_proto(Received<v1::FrameBatch> message);

void to_proto(const AudioChunk& chunk, v1::AudioChunk* message);
AudioChunk from_proto(Received<v1::AudioChunk> message);

void to_proto(const SpeechSegment& segment, v1::SpeechSegment* message);
SpeechSegment from_proto(const v1::SpeechSegment& message);

void to_proto(const AudioTokens& tokens, v1::AudioTokens* message);
AudioTokens from_proto(Received<v1::AudioTokens> message);

void to_proto(const VisualTokens& tokens, v1::VisualTokens* message);
VisualTokens from_proto(Received<v1::VisualTokens> message);

void to_proto(const ClipTokens& clip, v1::ClipTokens* message);
ClipTokens from_proto(Received<v1::ClipTokens> message);

void to_proto(const CompressionReport& report, v1::CompressionReport* message);
CompressionReport from_proto(const v1::CompressionReport& message);

void to_proto(const CompressedTokens& tokens, v1::CompressedTokens* message);
CompressedTokens from_proto(Received<v1::CompressedTokens> message);

void to_proto(const AdapterWeights& weights, v1::AdapterWeights* message);
AdapterWeights from_proto(Received<v1::AdapterWeights> message);

void to_proto(const VisualContext& context, v1::VisualContext* message);
VisualContext from_proto(Received<v1::VisualContext> message);

void to_proto(const CompressionSpec& spec, v1::CompressionSpec* message);
CompressionSpec from_proto(const v1::CompressionSpec& message);

void to_proto(const GenerationOptions& options, v1::GenerationOptions* message);
GenerationOptions from_proto(const v1::GenerationOptions& message);

void to_proto(const Prompt& prompt, v1::Prompt* message);
Prompt from_proto(Received<v1::Prompt> message);

void to_proto(const TextDelta& delta, v1::TextDelta* message);
TextDelta from_proto(const v1::TextDelta& message);

}  // namespace lv::services
