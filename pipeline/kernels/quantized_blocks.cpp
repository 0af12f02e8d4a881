#include "pipeline/kernels/quantized_blocks.h"

#include <c10/util/Half.h>

#include <cstring>

#include "pipeline/base/error.h"

namespace lv {
namespace {

float read_half(const uint8_t* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return half_to_float(bits);
}

void decode_q4_0(const uint8_t* block, float* out) {
  const float d = read_half(block);
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = block[2 + i];
    out[i] = static_cast<float>((pair & 15) - 8) * d;
    out[i + 16] = static_cast<float>((pair >> 4) - 8) * d;
  }
}

void decode_q4_1(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float m = read_half(block + 2);
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = block[4 + i];
    out[i] = static_cast<float>(pair & 15) * d + m;
    out[i + 16] = static_cast<float>(pair >> 4) * d + m;
  }
}

/// The fifth bits of 32 weights lie together, one bit each.
int fifth_bit(const uint8_t* bits, int i) { return ((bits[i / 8] >> (i % 8)) & 1) << 4; }

void decode_q5_0(const uint8_t* block, float* out) {
  const float d = read_half(block);
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = block[6 + i];
    out[i] = static_cast<float>(((pair & 15) | fifth_bit(block + 2, i)) - 16) * d;
    out[i + 16] = static_cast<float>(((pair >> 4) | fifth_bit(block + 2, i + 16)) - 16) * d;
  }
}

void decode_q5_1(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float m = read_half(block + 2);
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = block[8 + i];
    out[i] = static_cast<float>((pair & 15) | fifth_bit(block + 4, i)) * d + m;
    out[i + 16] = static_cast<float>((pair >> 4) | fifth_bit(block + 4, i + 16)) * d + m;
  }
}

void decode_q8_0(const uint8_t* block, float* out) {
  const float d = read_half(block);
  for (int i = 0; i < 32; ++i) {
    out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
  }
}

void decode_q4_k(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float dmin = read_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = unpack_q4_k(block + 4, j);
    const float step = d * static_cast<float>(scale);
    const float low = dmin * static_cast<float>(minimum);
    const uint8_t* pairs = block + 16 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const int q = j % 2 == 0 ? pairs[i] & 15 : pairs[i] >> 4;
      out[32 * j + i] = step * static_cast<float>(q) - low;
    }
  }
}

void decode_q2_k(const uint8_t* block, float* out) {
  const float d = read_half(block + 80);
  const float dmin = read_half(block + 82);
  for (int g = 0; g < 8; ++g) {
    const uint8_t* fours = block + 16 + 32 * (g / 4);
    for (int i = 0; i < 32; ++i) {
      const uint8_t scale = block[2 * g + i / 16];
      const int q = (fours[i] >> (2 * (g % 4))) & 3;
      out[32 * g + i] = d * static_cast<float>(scale & 15) * static_cast<float>(q) -
                        dmin * static_cast<float>(scale >> 4);
    }
  }
}

void decode_q3_k(const uint8_t* block, float* out) {
  const float d = read_half(block + 108);
  for (int g = 0; g < 8; ++g) {
    const uint8_t* fours = block + 32 + 32 * (g / 4);
    for (int i = 0; i < 32; ++i) {
      const auto step = d * static_cast<float>(unpack_q3_k(block + 96, 2 * g + i / 16));
      const int q = ((fours[i] >> (2 * (g % 4))) & 3) - ((block[i] >> g) & 1 ? 0 : 4);
      out[32 * g + i] = step * static_cast<float>(q);
    }
  }
}

void decode_q5_k(const uint8_t* block, float* out) {
  const float d = read_half(block);
  const float dmin = read_half(block + 2);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, minimum] = unpack_q4_k(block + 4, j);
    const float step = d * static_cast<float>(scale);
    const float low = dmin * static_cast<float>(minimum);
    const uint8_t* pairs = block + 48 + 32 * (j / 2);
    for (int i = 0; i < 32; ++i) {
      const int four = j % 2 == 0 ? pairs[i] & 15 : pairs[i] >> 4;
      const int q = four | (((block[16 + i] >> j) & 1) << 4);
      out[32 * j + i] = step * static_cast<float>(q) - low;
    }
  }
}

void decode_q6_k(const uint8_t* block, float* out) {
  const float d = read_half(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + 64 * half;
    const uint8_t* high = block + 128 + 32 * half;
    const uint8_t* scales = block + 192 + 8 * half;
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int i = 0; i < 32; ++i) {
        const int pair = low[i + 32 * (quarter % 2)];
        const int four = quarter < 2 ? pair & 15 : pair >> 4;
        const int q = (four | (((high[i] >> (2 * quarter)) & 3) << 4)) - 32;
        const auto scale = static_cast<int8_t>(scales[2 * quarter + i / 16]);
        out[128 * half + 32 * quarter + i] = d * static_cast<float>(scale) * static_cast<float>(q);
      }
    }
  }
}

void decode_f16(const uint8_t* block, float* out) {
  for (int i = 0; i < 32; ++i) out[i] = read_half(block + 2 * i);
}

void decode_bf16(const uint8_t* block, float* out) {
  for (int i = 0; i < 32; ++i) {
    const uint32_t bits = static_cast<uint32_t>(block[2 * i] | block[2 * i + 1] << 8) << 16;
    std::memcpy(out + i, &bits, sizeof(bits));
  }
}

using DecodeBlock = void (*)(const uint8_t*, float*);

DecodeBlock decoder_of(BlockFormat format) {
  switch (format) {
    case BlockFormat::kQ4_0:
      return decode_q4_0;
    case BlockFormat::kQ4_1:
      return decode_q4_1;
    case BlockFormat::kQ5_0:
      return decode_q5_0;
    case BlockFormat::kQ5_1:
      return decode_q5_1;
    case BlockFormat::kQ8_0:
      return decode_q8_0;
    case BlockFormat::kQ2_K:
      return decode_q2_k;
    case BlockFormat::kQ3_K:
      return decode_q3_k;
    case BlockFormat::kQ4_K:
      return decode_q4_k;
    case BlockFormat::kQ5_K:
      return decode_q5_k;
    case BlockFormat::kQ6_K:
      return decode_q6_k;
    case BlockFormat::kF16:
      return decode_f16;
    case BlockFormat::kBF16:
      return decode_bf16;
  }
  throw Error(ErrorCode::kInternal, "decode_row: unknown block format");
}

}  // namespace

float half_to_float(uint16_t bits) {
  return static_cast<float>(c10::Half(bits, c10::Half::from_bits()));
}

void decode_row(BlockFormat format, const uint8_t* row, int64_t columns, float* out) {
  const BlockLayout layout = layout_of(format);
  const DecodeBlock decode = decoder_of(format);
  for (int64_t done = 0; done < columns; done += layout.weights) {
    decode(row, out + done);
    row += layout.bytes;
  }
}

}  // namespace lv
