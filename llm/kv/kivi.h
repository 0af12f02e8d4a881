#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace lv::llm {

/// Keys and values in a few bits. A page holds `group` tokens; of keys each channel of them, of
/// values each token's `group` channels, shares a float16 scale and zero: x' = code * scale + zero.
/// Reference: Liu et al., KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache, arXiv
/// 2402.02750, section 3. Differs: keys and values become codes together.
///
/// A page's bytes, for keys and values alike, are H Dh vectors of `group` codes, a head's Dh after
/// another's: of keys channel by channel, of values group by group, its tokens in order. All scales
/// follow, then all zeros. Byte i of a vector holds the codes i + k * group * bits / 8, low
/// bits first.
struct KiviFormat {
  int64_t bits = 4;        // 4 or 2
  int64_t group = 32;      // 8, 16, 32, 64 or 128; divides Dh
  int64_t residual = 128;  // newest tokens that are not coded

  int64_t vector_bytes() const { return group * bits / 8; }
  int64_t page_bytes(int64_t heads, int64_t head_size) const {
    return heads * head_size * (vector_bytes() + 4);
  }
  bool operator==(const KiviFormat& other) const = default;
};

/// Throws kInvalidArgument, beginning with `where`, on numbers that the format does not allow for
/// heads of `head_size`.
void check_kivi(const KiviFormat& format, int64_t head_size, const std::string& where);

/// [p group, H, Dh] of any floating type -> [p, page_bytes] uint8.
at::Tensor kivi_encode_keys(const at::Tensor& rows, const KiviFormat& format);
at::Tensor kivi_encode_values(const at::Tensor& rows, const KiviFormat& format);

/// [p, page_bytes] uint8 -> [p group, heads, head_size] float32.
at::Tensor kivi_decode_keys(const at::Tensor& pages, const KiviFormat& format, int64_t heads,
                            int64_t head_size);
at::Tensor kivi_decode_values(const at::Tensor& pages, const KiviFormat& format, int64_t heads,
                              int64_t head_size);

}  // namespace lv::llm
