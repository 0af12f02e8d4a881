#include "pipeline/media/h264_units.h"

#include <cstddef>
#include <optional>

namespace lv {
namespace {

/// Whether a unit's picture is one, by the unit's first byte; nothing for a unit without a picture.
std::optional<bool> says_idr(uint8_t header) {
  const int type = header & 31;
  return type >= 1 && type <= 5 ? std::optional(type == 5) : std::nullopt;
}

bool starts_unit(std::span<const uint8_t> packet, size_t at) {
  return packet[at - 3] == 0 && packet[at - 2] == 0 && packet[at - 1] == 1;
}

}  // namespace

int h264_length_bytes(std::span<const uint8_t> header) {
  const bool lengths = header.size() >= 7 && header[0] == 1;
  return lengths ? (header[4] & 3) + 1 : 0;
}

bool is_h264_idr(std::span<const uint8_t> packet, int length_bytes) {
  if (length_bytes == 0) {
    for (size_t at = 3; at < packet.size(); ++at) {
      if (!starts_unit(packet, at)) continue;
      if (const auto answer = says_idr(packet[at])) return *answer;
    }
    return false;
  }
  size_t at = 0;
  while (packet.size() - at > static_cast<size_t>(length_bytes)) {
    size_t length = 0;
    for (int i = 0; i < length_bytes; ++i) length = length << 8 | packet[at++];
    if (length > packet.size() - at) return false;
    if (length == 0) continue;
    if (const auto answer = says_idr(packet[at])) return *answer;
    at += length;
  }
  return false;
}

}  // namespace lv
