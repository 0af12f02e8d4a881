// Bytes of a client as each message of longview.v1: reading them either throws lv::Error or gives a
// valid value, which then survives the wire again.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "longview/v1/audio.pb.h"
#include "longview/v1/frames.pb.h"
#include "longview/v1/media.pb.h"
#include "longview/v1/prompt.pb.h"
#include "longview/v1/visual_tokens.pb.h"
#include "pipeline/base/error.h"
#include "services/codec/codec.h"
#include "services/codec/upload.h"

namespace lv::services {
namespace {

template <class Message>
void read_and_write(const std::string& bytes) {
  auto message = std::make_shared<Message>();
  if (!message->ParseFromString(bytes)) return;
  const auto read = [](std::shared_ptr<Message> received) {
    if constexpr (requires { from_proto(Received<Message>(received)); }) {
      return from_proto(Received<Message>(std::move(received)));
    } else {
      return from_proto(*received);
    }
  };
  Message again;
  try {
    to_proto(read(std::move(message)), &again);
  } catch (const Error&) {
    return;
  }
  try {
    read(std::make_shared<Message>(again));
  } catch (const Error&) {
    std::abort();  // what we wrote must be readable
  }
}

/// The first byte of each piece is the size of the next message.
void upload(const std::string& bytes) {
  size_t at = 0;
  const auto next = [&](v1::MediaChunk* chunk) {
    if (at >= bytes.size()) return false;
    const auto size = static_cast<uint8_t>(bytes[at]);
    const std::string piece = bytes.substr(at + 1, size);
    at += 1 + piece.size();
    return chunk->ParseFromString(piece);
  };
  MediaLimits ceilings;
  ceilings.max_bytes = 64;
  try {
    while (receive_media(next, ceilings)) {
    }
  } catch (const Error&) {
  }
}

constexpr std::array kTargets{
    read_and_write<v1::FrameBatch>,
    read_and_write<v1::AudioChunk>,
    read_and_write<v1::AudioTokens>,
    read_and_write<v1::VisualTokens>,
    read_and_write<v1::ClipTokens>,
    read_and_write<v1::CompressedTokens>,
    read_and_write<v1::AdapterWeights>,
    read_and_write<v1::VisualContext>,
    read_and_write<v1::Prompt>,
    read_and_write<v1::TextDelta>,
    read_and_write<v1::Sampling>,
    read_and_write<v1::CompressionSpec>,
    read_and_write<v1::GenerationOptions>,
    upload,
};

}  // namespace
}  // namespace lv::services

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const c10::InferenceMode no_autograd;
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  lv::services::kTargets[data[0] % lv::services::kTargets.size()](bytes);
  return 0;
}
