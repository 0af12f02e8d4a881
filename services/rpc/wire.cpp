#include "services/rpc/wire.h"

#include <algorithm>
#include <utility>

#include "longview/v1/stages.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/fields.h"

namespace lv::services {

void check_message_bytes(size_t bytes, const std::string& type_name) {
  check(bytes <= kMaxMessageBytes, ErrorCode::kResourceExhausted,
        type_name + ": expected at most " + std::to_string(kMaxMessageBytes) + " bytes, got " +
            std::to_string(bytes));
}

std::optional<MediaRequest> Wire<MediaRequest>::receive(const ReadMessage<Message>& read,
                                                        const ServingLimits& limits) {
  return receive_media(read, limits.media);
}

bool Wire<MediaRequest>::send(const MediaRequest& request, const WriteMessage<Message>& write) {
  return send_media(request, write);
}

std::optional<ClipTokens> Wire<ClipTokens>::receive(const ReadMessage<Message>& read,
                                                    const ServingLimits&) {
  auto message = std::make_shared<Message>();
  if (!read(message.get())) return std::nullopt;
  check(message->has_clip(), ErrorCode::kInvalidArgument, "compress: expected a clip");
  const Received<Message> received = std::move(message);
  return from_proto(part_of(received, received->clip()));
}

bool Wire<ClipTokens>::send(const ClipTokens& clip, const WriteMessage<Message>& write) {
  Message message;
  to_proto(clip, message.mutable_clip());
  check_message_bytes(message.ByteSizeLong(), message.GetTypeName());
  return write(message);
}

std::optional<FrameBatch> EncodeWire::receive(const ReadMessage<Message>& read,
                                              const ServingLimits&) {
  auto message = std::make_shared<Message>();
  if (!read(message.get())) return std::nullopt;
  check(message->has_frames(), ErrorCode::kInvalidArgument, "encode: expected frames");
  const Received<Message> received = std::move(message);
  return from_proto(part_of(received, received->frames()));
}

bool EncodeWire::send(const FrameBatch& frames, const WriteMessage<Message>& write) {
  Message message;
  to_proto(frames, message.mutable_frames());
  check_message_bytes(message.ByteSizeLong(), message.GetTypeName());
  return write(message);
}

std::optional<Prompt> Wire<Prompt>::receive(const ReadMessage<Message>& read,
                                            const ServingLimits& limits) {
  auto prompt = OneMessage<Prompt, Message>::receive(read, limits);
  if (prompt) {
    prompt->options.max_tokens = std::min(prompt->options.max_tokens, limits.max_generated_tokens);
  }
  return prompt;
}

bool Wire<Prompt>::send(const Prompt& prompt, const WriteMessage<Message>& write) {
  return OneMessage<Prompt, Message>::send(prompt, write);
}

}  // namespace lv::services
