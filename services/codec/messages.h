#pragma once

#include <memory>

/// The messages of longview.v1, by name only: who fills or reads one includes its .pb.h.
namespace longview::v1 {
class AdapterWeights;
class AudioChunk;
class AudioTokens;
class ClipTokens;
class CompressRequest;
class EncodeRequest;
class CompressedTokens;
class CompressionReport;
class CompressionSpec;
class FrameBatch;
class GenerationOptions;
class MediaChunk;
class MediaHeader;
class MediaInfo;
class MediaLimits;
class Prompt;
class Sampling;
class SpeechSegment;
class TextDelta;
class TokenOrigin;
class VisualContext;
class VisualTokens;
}  // namespace longview::v1

namespace lv::services {

namespace v1 = longview::v1;

/// A message that was received. Tensors made from it point into it and keep it alive.
template <class Message>
using Received = std::shared_ptr<const Message>;

}  // namespace lv::services
