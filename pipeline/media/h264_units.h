#pragma once

#include <cstdint>
#include <span>

namespace lv {

/// How many bytes before each unit of a stream's packets say its length, by the stream's header
/// (`extradata`); 0 where start codes part them. ISO/IEC 14496-15, section 5.3.3.
int h264_length_bytes(std::span<const uint8_t> header);

/// Whether the picture of an H.264 packet refers to none before it, nor does any that follows: an
/// IDR picture (ITU-T H.264, table 7-1). False for a packet without a picture, or a damaged one.
bool is_h264_idr(std::span<const uint8_t> packet, int length_bytes);

}  // namespace lv
