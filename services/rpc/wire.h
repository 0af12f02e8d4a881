#pragma once

#include <memory>
#include <optional>
#include <string>

#include "services/codec/codec.h"
#include "services/codec/upload.h"
#include "services/rpc/serving_limits.h"

namespace lv::services {

/// The most bytes that one message may have, on either side. One picture of the largest allowed
/// size (MediaLimits::max_picture_pixels) fits.
inline constexpr int kMaxMessageBytes = 256 << 20;

/// Throws kResourceExhausted that names the message if it is too large to travel.
void check_message_bytes(size_t bytes, const std::string& type_name);

/// A value that is one message.
template <class T, class M>
struct OneMessage {
  using Message = M;

  static std::optional<T> receive(const ReadMessage<M>& read, const ServingLimits&) {
    auto message = std::make_shared<M>();
    if (!read(message.get())) return std::nullopt;
    if constexpr (requires { from_proto(Received<M>(message)); }) {
      return from_proto(Received<M>(std::move(message)));
    } else {
      return from_proto(*message);
    }
  }

  static bool send(const T& value, const WriteMessage<M>& write) {
    M message;
    to_proto(value, &message);
    check_message_bytes(message.ByteSizeLong(), message.GetTypeName());
    return write(message);
  }
};

/// How values of T travel: Wire<T>::Message, receive() the next value or nullopt at the end of the
/// stream, send() one (false if the other side stopped reading).
template <class T>
struct Wire;

template <>
struct Wire<FrameBatch> : OneMessage<FrameBatch, v1::FrameBatch> {};
template <>
struct Wire<AudioChunk> : OneMessage<AudioChunk, v1::AudioChunk> {};
template <>
struct Wire<AudioTokens> : OneMessage<AudioTokens, v1::AudioTokens> {};
template <>
struct Wire<VisualTokens> : OneMessage<VisualTokens, v1::VisualTokens> {};
template <>
struct Wire<VisualContext> : OneMessage<VisualContext, v1::VisualContext> {};
template <>
struct Wire<TextDelta> : OneMessage<TextDelta, v1::TextDelta> {};

template <>
struct Wire<MediaRequest> {
  using Message = v1::MediaChunk;
  static std::optional<MediaRequest> receive(const ReadMessage<Message>& read,
                                             const ServingLimits& limits);
  static bool send(const MediaRequest& request, const WriteMessage<Message>& write);
};

/// Clips only: the plan that comes before them is read and written by whoever opens the call.
template <>
struct Wire<ClipTokens> {
  using Message = v1::CompressRequest;
  static std::optional<ClipTokens> receive(const ReadMessage<Message>& read,
                                           const ServingLimits& limits);
  static bool send(const ClipTokens& clip, const WriteMessage<Message>& write);
};

/// Frames on their way into an encoder, likewise.
struct EncodeWire {
  using Message = v1::EncodeRequest;
  static std::optional<FrameBatch> receive(const ReadMessage<Message>& read,
                                           const ServingLimits& limits);
  static bool send(const FrameBatch& frames, const WriteMessage<Message>& write);
};

template <>
struct Wire<Prompt> {
  using Message = v1::Prompt;
  static std::optional<Prompt> receive(const ReadMessage<Message>& read,
                                       const ServingLimits& limits);
  static bool send(const Prompt& prompt, const WriteMessage<Message>& write);
};

}  // namespace lv::services
