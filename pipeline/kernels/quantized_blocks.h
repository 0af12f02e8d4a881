#pragma once

#include <cstdint>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// Turns `columns` weights that lie as blocks at `row` into floats. Plain C++; what every faster
/// path is compared with. Value of a weight by format, d, m and dmin being float16:
///
///   Q4_0  d * (q - 8)                Q4_1  d * q + m                Q8_0  d * q
///   Q5_0  d * (q - 16)               Q5_1  d * q + m
///   Q2_K  d * sc * q - dmin * mn     sc and mn of 4 bits for each 16 weights
///   Q3_K  d * (sc - 32) * (q - 4)    sc of 6 bits for each 16 weights
///   Q4_K  d * sc * q - dmin * mn     sc and mn of 6 bits for each 32 weights; Q5_K likewise
///   Q6_K  d * sc * (q - 32)          sc of 8 bits for each 16 weights
///
/// Reference: ggml-org/ggml, docs/gguf.md and src/ggml-quants.c (layout of the blocks).
void decode_row(BlockFormat format, const uint8_t* row, int64_t columns, float* out);

/// float16 -> float, exactly.
float half_to_float(uint16_t bits);

/// The scale, 32 taken off, of the 16 weights `j` (0..15) in the 12 packed bytes of a Q3_K block:
/// four low bits each in the first eight bytes, two high bits each in the last four.
inline int unpack_q3_k(const uint8_t* packed, int j) {
  const int low = j < 8 ? packed[j] & 15 : packed[j - 8] >> 4;
  return (low | (((packed[8 + j % 4] >> (2 * (j / 4))) & 3) << 4)) - 32;
}

/// The 6-bit scale and minimum of sub-block `j` (0..7) in the 12 packed bytes of a Q4_K or Q5_K
/// block.
struct ScaleAndMinimum {
  uint8_t scale;
  uint8_t minimum;
};
inline ScaleAndMinimum unpack_q4_k(const uint8_t* packed, int j) {
  if (j < 4) {
    return {static_cast<uint8_t>(packed[j] & 63), static_cast<uint8_t>(packed[j + 4] & 63)};
  }
  return {static_cast<uint8_t>((packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4)),
          static_cast<uint8_t>((packed[j + 4] >> 4) | ((packed[j] >> 6) << 4))};
}

}  // namespace lv
