#include "pipeline/kernels/quantized_matmul.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>

#include "pipeline/kernels/quantized_kernels.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

/// Random blocks; bytes below 0x40 keep the float16 scales below 2.
QuantizedMatrix random_matrix(BlockFormat format, int64_t rows, int64_t blocks_per_row) {
  const BlockLayout layout = layout_of(format);
  return {format, rows, blocks_per_row * layout.weights,
          at::randint(0, 0x40, {rows, blocks_per_row * layout.bytes}, at::kByte)};
}

}  // namespace

TEST_CASE("quantized_matmul equals the product with the dense matrix") {
  const auto format =
      GENERATE(BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ5_0, BlockFormat::kQ5_1,
               BlockFormat::kQ8_0, BlockFormat::kQ2_K, BlockFormat::kQ3_K, BlockFormat::kQ4_K,
               BlockFormat::kQ5_K, BlockFormat::kQ6_K, BlockFormat::kF16, BlockFormat::kBF16);
  const auto n = GENERATE(1, 2, 3, 5, 7, 8, 9, 16, 17, 64, 65);
  const auto rows = GENERATE(1, 16, 63, 130);
  CAPTURE(name_of(format), n, rows);
  const QuantizedMatrix matrix = random_matrix(format, rows, 3);
  const at::Tensor x = at::randn({n, matrix.columns});
  const at::Tensor expected = at::mm(x.to(at::kDouble), dequantize(matrix).t().to(at::kDouble));
  // Floats are summed in another order. Rounding moves x by half a step: the largest of its 32 has
  // 16383, so what comes of it is at most:
  const at::Tensor half_step = x.view({n, -1, kGroup}).abs().amax(2, true) / (2 * kLargestRounded);
  const at::Tensor moved =
      at::mm(half_step.expand({n, -1, kGroup}).reshape(x.sizes()), dequantize(matrix).abs().t());
  const double rounded = multiplies_integers(format) ? moved.max().item<double>() : 0;
  const double largest = expected.abs().max().item<double>();
  CHECK_THAT(quantized_matmul(x, matrix), CloseTo(expected, 0, rounded + 1e-5 * largest));
}

TEST_CASE("quantized_matmul takes rows longer than a panel") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ4_1, 33, 2 * 64 + 3);
  const at::Tensor x = at::randn({7, matrix.columns});
  const at::Tensor expected = at::mm(x, dequantize(matrix).t());
  CHECK_THAT(quantized_matmul(x, matrix),
             CloseTo(expected, 0, 1e-4 * expected.abs().max().item<double>()));
}

TEST_CASE("quantized_matmul of the largest integers does not overflow") {
  QuantizedMatrix matrix = random_matrix(BlockFormat::kQ6_K, 16, 1);
  matrix.blocks.zero_();                         // every weight is -32 times its scale
  matrix.blocks.slice(1, 192, 208).fill_(0x80);  // -128
  matrix.blocks.slice(1, 209, 210).fill_(0x3C);  // d is one
  const auto n = GENERATE(1, 8);
  const at::Tensor x = at::ones({n, 256});
  CHECK_THAT(quantized_matmul(x, matrix), CloseTo(at::full({n, 16}, 4096.F * 256), 1e-6, 0));
}

TEST_CASE("quantized_matmul hands on what is not finite, and nothing of tiny numbers") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ8_0, 20, 2);
  const auto n = GENERATE(1, 9);
  const auto wrong =
      GENERATE(std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity());
  at::Tensor x = at::ones({n, 64});
  x[0][40] = wrong;
  const at::Tensor y = quantized_matmul(x, matrix);
  CHECK_FALSE(at::isfinite(y[0]).any().item<bool>());
  CHECK(at::isfinite(y.slice(0, 1)).all().item<bool>());
  const at::Tensor none = quantized_matmul(at::full({n, 64}, 1e-40F), matrix);
  CHECK_THAT(none, CloseTo(at::zeros({n, 20}), 0, 1e-30));
}

TEST_CASE("quantized_matmuls gives what each product gives") {
  const auto n = GENERATE(1, 6, 40);
  std::vector<QuantizedMatrix> matrices;
  for (const auto format : {BlockFormat::kQ4_K, BlockFormat::kF16, BlockFormat::kQ6_K}) {
    matrices.push_back(random_matrix(format, 20, 256 / layout_of(format).weights));
  }
  matrices.push_back(random_matrix(BlockFormat::kQ8_0, 0, 8));
  std::vector<const QuantizedMatrix*> pointers;
  for (const QuantizedMatrix& matrix : matrices) pointers.push_back(&matrix);
  const at::Tensor x = at::randn({n, 256});
  const std::vector<at::Tensor> together = quantized_matmuls(x, pointers);
  REQUIRE(together.size() == matrices.size());
  for (size_t i = 0; i < matrices.size(); ++i) {
    CHECK_THAT(together[i], CloseTo(quantized_matmul(x, matrices[i]), 0, 0));
  }
  CHECK(quantized_matmuls(x, {}).empty());
}

TEST_CASE("quantized_matmul reads rows of x that are not contiguous") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ8_0, 8, 2);
  const at::Tensor x = at::randn({64, 4}).t();
  CHECK_THAT(quantized_matmul(x, matrix), CloseTo(quantized_matmul(x.contiguous(), matrix), 0, 0));
}

TEST_CASE("quantized_matmul of nothing is nothing") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ4_1, 5, 2);
  CHECK(quantized_matmul(at::empty({0, 64}), matrix).sizes() == at::IntArrayRef{0, 5});
  const QuantizedMatrix no_rows = random_matrix(BlockFormat::kQ4_1, 0, 2);
  CHECK(quantized_matmul(at::empty({3, 64}), no_rows).sizes() == at::IntArrayRef{3, 0});
  const QuantizedMatrix no_columns = random_matrix(BlockFormat::kQ4_1, 5, 0);
  CHECK_THAT(quantized_matmul(at::empty({3, 0}), no_columns), CloseTo(at::zeros({3, 5}), 0, 0));
}

TEST_CASE("dequantize_rows takes rows in any order and twice") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ4_K, 6, 1);
  const at::Tensor rows = at::tensor({5, 0, 5}, at::kLong);
  CHECK_THAT(dequantize_rows(matrix, rows),
             CloseTo(dequantize(matrix).index_select(0, rows), 0, 0));
  CHECK(dequantize_rows(matrix, at::empty({0}, at::kLong)).sizes() == at::IntArrayRef{0, 256});
}

TEST_CASE("dequantize_rows refuses rows outside the matrix") {
  const QuantizedMatrix matrix = random_matrix(BlockFormat::kQ8_0, 6, 1);
  const auto wrong = GENERATE(-1, 6, 1000);
  CHECK_THROWS_MATCHES(dequantize_rows(matrix, at::tensor({0, wrong}, at::kLong)), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected 0 to 5"));
}

TEST_CASE("quantized_matmul refuses what does not fit") {
  QuantizedMatrix matrix = random_matrix(BlockFormat::kQ8_0, 6, 2);
  CHECK_THROWS_MATCHES(quantized_matmul(at::zeros({1, 32}), matrix), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected [*, 64], got [1, 32]"));
  CHECK_THROWS_MATCHES(quantized_matmul(at::zeros({1, 64}, at::kHalf), matrix), Error,
                       IsError(ErrorCode::kInvalidArgument, "x: expected Float"));
  matrix.columns = 33;
  CHECK_THROWS_MATCHES(dequantize(matrix), Error,
                       IsError(ErrorCode::kInvalidArgument, "a multiple of 32, got 33"));
  matrix.columns = 96;
  CHECK_THROWS_MATCHES(dequantize(matrix), Error,
                       IsError(ErrorCode::kInvalidArgument, "expected [6, 102], got [6, 68]"));
}

}  // namespace lv
