#include "pipeline/kernels/quantized_blocks.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/quantized_matmul.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv {
namespace {

constexpr uint16_t kOne = 0x3C00;    // float16 1
constexpr uint16_t kHalf = 0x3800;   // 0.5
constexpr uint16_t kMinus = 0xC000;  // -2

void put_half(std::vector<uint8_t>& block, size_t at, uint16_t bits) {
  block[at] = static_cast<uint8_t>(bits & 255);
  block[at + 1] = static_cast<uint8_t>(bits >> 8);
}

std::vector<float> decoded(BlockFormat format, const std::vector<uint8_t>& block) {
  std::vector<float> values(static_cast<size_t>(layout_of(format).weights));
  decode_row(format, block.data(), layout_of(format).weights, values.data());
  return values;
}

}  // namespace

TEST_CASE("half_to_float covers normal, subnormal and special numbers") {
  CHECK(half_to_float(kOne) == 1.0F);
  CHECK(half_to_float(kMinus) == -2.0F);
  CHECK(half_to_float(0x0001) == 5.9604644775390625e-08F);
  CHECK(half_to_float(0x7BFF) == 65504.0F);
  CHECK(std::isinf(half_to_float(0x7C00)));
  CHECK(std::isnan(half_to_float(0x7E00)));
}

TEST_CASE("Q4_0 is d times the nibble less eight, low nibbles first") {
  std::vector<uint8_t> block(18);
  put_half(block, 0, kHalf);
  block[2] = 0xF0;       // weight 0: 0, weight 16: 15
  block[2 + 15] = 0x29;  // weight 15: 9, weight 31: 2
  const auto w = decoded(BlockFormat::kQ4_0, block);
  CHECK(w[0] == -4.0F);
  CHECK(w[16] == 3.5F);
  CHECK(w[15] == 0.5F);
  CHECK(w[31] == -3.0F);
  CHECK(w[1] == -4.0F);
}

TEST_CASE("Q4_1 is d times the nibble plus m") {
  std::vector<uint8_t> block(20);
  put_half(block, 0, kHalf);
  put_half(block, 2, kMinus);
  block[4] = 0xF0;
  block[4 + 15] = 0x29;
  const auto w = decoded(BlockFormat::kQ4_1, block);
  CHECK(w[0] == -2.0F);
  CHECK(w[16] == 5.5F);
  CHECK(w[15] == 2.5F);
  CHECK(w[31] == -1.0F);
}

TEST_CASE("Q8_0 is d times a signed byte") {
  std::vector<uint8_t> block(34);
  put_half(block, 0, kMinus);
  block[2] = 0x80;
  block[3] = 0x7F;
  block[33] = 0xFF;
  const auto w = decoded(BlockFormat::kQ8_0, block);
  CHECK(w[0] == 256.0F);
  CHECK(w[1] == -254.0F);
  CHECK(w[2] == 0.0F);
  CHECK(w[31] == 2.0F);
}

TEST_CASE("Q4_K unpacks six-bit scales of eight groups") {
  std::vector<uint8_t> block(144);
  put_half(block, 0, kOne);
  put_half(block, 2, kHalf);
  uint8_t* packed = block.data() + 4;
  packed[1] = 33 | (2 << 6);     // scale of group 1; high bits of group 5's scale
  packed[5] = 6 | (3 << 6);      // minimum of group 1; high bits of group 5's minimum
  packed[9] = 0x5 | (0x9 << 4);  // low bits of group 5's scale and minimum
  for (size_t i = 0; i < 32; ++i) block[16 + i] = 0x70;       // group 0: 0, group 1: 7
  for (size_t i = 0; i < 32; ++i) block[16 + 64 + i] = 0x3F;  // group 4: 15, group 5: 3
  const auto w = decoded(BlockFormat::kQ4_K, block);
  CHECK(w[0] == 0.0F);
  CHECK(w[32] == 33 * 7 - 0.5F * 6);
  CHECK(w[63] == 33 * 7 - 0.5F * 6);
  const float scale = 5 | (2 << 4);
  const float minimum = 9 | (3 << 4);
  CHECK(w[160] == scale * 3 - 0.5F * minimum);
  CHECK(w[128] == 0.0F);  // group 4 has scale and minimum 0
}

TEST_CASE("Q6_K joins four low and two high bits, one scale for sixteen weights") {
  std::vector<uint8_t> block(210);
  put_half(block, 208, kHalf);
  for (size_t i = 0; i < 16; ++i) block[192 + i] = static_cast<uint8_t>(i + 1);
  block[192 + 7] = 0xFD;      // -3, for weights 112..127
  block[0] = 0x5A;            // low bits of weights 0 (10) and 64 (5)
  block[128] = 0b11100100;    // high bits of weights 0, 32, 64, 96: 0, 1, 2, 3
  block[128 + 31] = 0xC0;     // weight 127: 3
  block[32 + 31] = 0xF0;      // weight 127: 15
  block[64 + 32 + 3] = 0x07;  // second half: weight 128 + 35: 7
  const auto w = decoded(BlockFormat::kQ6_K, block);
  CHECK(w[0] == 0.5F * 1 * (10 - 32));
  CHECK(w[32] == 0.5F * 3 * (16 - 32));
  CHECK(w[64] == 0.5F * 5 * ((5 | 32) - 32));
  CHECK(w[96] == 0.5F * 7 * (48 - 32));
  CHECK(w[127] == 0.5F * -3 * (63 - 32));
  CHECK(w[128 + 35] == 0.5F * 11 * (7 - 32));
}

TEST_CASE("blocks decode as the gguf package decodes them") {
  const auto golden = open_safetensors(data("tests/data/weights/blocks.safetensors"));
  const auto format =
      GENERATE(BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ5_0, BlockFormat::kQ5_1,
               BlockFormat::kQ8_0, BlockFormat::kQ2_K, BlockFormat::kQ3_K, BlockFormat::kQ4_K,
               BlockFormat::kQ5_K, BlockFormat::kQ6_K, BlockFormat::kF16, BlockFormat::kBF16);
  CAPTURE(name_of(format));
  const std::string name(name_of(format));
  const auto blocks = std::get<at::Tensor>(golden->get(name + ".blocks"));
  const auto values = std::get<at::Tensor>(golden->get(name + ".values"));
  const QuantizedMatrix matrix{format, values.size(0), values.size(1), blocks};
  // The same formula; a fused multiply-add rounds once where the package rounds twice.
  CHECK_THAT(dequantize(matrix), CloseTo(values, 1e-6, 1e-6));
  at::Tensor plain = at::empty_like(values);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    decode_row(format, blocks.const_data_ptr<uint8_t>() + row * blocks.size(1), matrix.columns,
               plain.data_ptr<float>() + row * matrix.columns);
  }
  CHECK_THAT(plain, CloseTo(values, 1e-6, 1e-6));
}

}  // namespace lv
