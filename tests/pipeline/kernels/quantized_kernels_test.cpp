#include "pipeline/kernels/quantized_kernels.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/quantized_blocks.h"
#include "tests/support/close_to.h"

namespace lv {
namespace {

const std::vector<BlockFormat> kAllFormats = {
    BlockFormat::kQ4_0, BlockFormat::kQ4_1, BlockFormat::kQ5_0, BlockFormat::kQ5_1,
    BlockFormat::kQ8_0, BlockFormat::kQ2_K, BlockFormat::kQ3_K, BlockFormat::kQ4_K,
    BlockFormat::kQ5_K, BlockFormat::kQ6_K, BlockFormat::kF16,  BlockFormat::kBF16};

/// Rows of `columns` weights; bytes below 0x60 keep every float16 finite.
at::Tensor random_blocks(BlockFormat format, int64_t rows, int64_t columns) {
  const BlockLayout layout = layout_of(format);
  return at::randint(0, 0x60, {rows, columns / layout.weights * layout.bytes}, at::kByte);
}

at::Tensor decoded(BlockFormat format, const at::Tensor& blocks, int64_t columns) {
  at::Tensor dense = at::empty({blocks.size(0), columns}, at::kFloat);
  for (int64_t row = 0; row < blocks.size(0); ++row) {
    decode_row(format, blocks[row].const_data_ptr<uint8_t>(), columns,
               dense[row].data_ptr<float>());
  }
  return dense;
}

/// Rows of x as a kernel rounds them, and what these stand for.
struct Rounded {
  Rounded(const QuantizedKernels& kernels, const at::Tensor& x)
      : values(at::empty(x.sizes(), at::kShort)),
        steps(at::empty({x.size(0), x.size(1) / kGroup, 2}, at::kFloat)) {
    for (int64_t i = 0; i < x.size(0); ++i) {
      kernels.round(x[i].const_data_ptr<float>(), x.size(1), values[i].data_ptr<int16_t>(),
                    steps[i].data_ptr<float>());
    }
  }

  RoundedRows rows() const {
    return {values.const_data_ptr<int16_t>(), steps.const_data_ptr<float>(), values.size(1)};
  }
  at::Tensor dense() const {
    const at::Tensor grouped = values.to(at::kDouble).view({values.size(0), -1, kGroup});
    return (grouped * steps.select(2, 0).unsqueeze(2)).view(values.sizes());
  }

  at::Tensor values, steps;
};

/// Calls `test` with every set of kernels that runs here.
template <class Test>
void with_each(const Test& test) {
  for (const QuantizedKernels* kernels : all_quantized_kernels()) test(*kernels);
  SUCCEED("all that run here");
}

}  // namespace

TEST_CASE("kernels decode what the plain decoder does, bit for bit") {
  const auto format = GENERATE(from_range(kAllFormats));
  CAPTURE(name_of(format));
  const at::Tensor blocks = random_blocks(format, 1, 1792);
  const at::Tensor plain = decoded(format, blocks, 1792);
  with_each([&](const QuantizedKernels& kernels) {
    CAPTURE(kernels.name);
    at::Tensor fast = at::empty_like(plain);
    kernels.decode(format, blocks.const_data_ptr<uint8_t>(), 1792, fast.data_ptr<float>());
    CHECK(at::equal(fast, plain));
  });
}

TEST_CASE("kernels round to the nearest of 16383 steps") {
  const at::Tensor x = at::randn({3, 96}) * at::tensor({1e-20F, 1.F, 1e20F}).unsqueeze(1);
  with_each([&](const QuantizedKernels& kernels) {
    CAPTURE(kernels.name);
    const Rounded rounded(kernels, x);
    const at::Tensor grouped = x.to(at::kDouble).view({3, 3, kGroup});
    const at::Tensor step = grouped.abs().amax(2) / kLargestRounded;  // [3, 3]
    CHECK_THAT(rounded.steps.select(2, 0), CloseTo(step, 1e-6, 0));
    CHECK(rounded.values.abs().amax().item<int>() == kLargestRounded);
    const at::Tensor off = (rounded.dense() - x).view({3, 3, kGroup}).abs().amax(2) / step;
    CHECK(off.max().item<double>() < 0.501);  // the multiplication by 1 / step rounds, too
    const at::Tensor sums = rounded.dense().view({3, 3, kGroup}).sum(2);
    CHECK_THAT(rounded.steps.select(2, 1) / step, CloseTo(sums / step, 1e-6, 1e-3));
  });
}

TEST_CASE("kernels multiply rounded rows as the plain loop does") {
  const auto format = GENERATE(filter(multiplies_integers, from_range(kAllFormats)));
  const auto rows = GENERATE(1, 7, 16);
  CAPTURE(name_of(format), rows);
  const int64_t columns = 768;
  const at::Tensor blocks = random_blocks(format, rows, columns);
  const at::Tensor weights = decoded(format, blocks, columns).to(at::kDouble);
  const at::Tensor x = at::randn({9, columns});
  with_each([&](const QuantizedKernels& kernels) {
    CAPTURE(kernels.name);
    const Rounded rounded(kernels, x);
    const at::Tensor expected = at::mm(rounded.dense(), weights.t());
    // The integers are exact; floats add up what 32 columns give.
    const double tolerance =
        1e-6 * at::mm(rounded.dense().abs(), weights.abs().t()).max().item<double>();
    at::Tensor y = at::empty({9, rows}, at::kFloat);
    for (int64_t count = 1; count <= kMaxDotRows; ++count) {
      kernels.dot_rounded(format, blocks.const_data_ptr<uint8_t>(), blocks.size(1), rows,
                          rounded.rows(), count, y.data_ptr<float>(), rows);
      CHECK_THAT(y.slice(0, 0, count), CloseTo(expected.slice(0, 0, count), 0, tolerance));
    }
    at::Tensor values = at::empty({columns / 2, kPanelRows, 2}, at::kShort);
    at::Tensor steps = at::empty({columns / kGroup, kPanelRows}, at::kFloat);
    at::Tensor minima = at::empty_like(steps);
    const Panel panel{values.data_ptr<int16_t>(), steps.data_ptr<float>(),
                      minima.data_ptr<float>()};
    kernels.pack(format, blocks.const_data_ptr<uint8_t>(), blocks.size(1), rows, columns, panel);
    for (const int64_t n : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
      at::Tensor sums = at::ones({n, kPanelRows}, at::kFloat);
      kernels.multiply(panel, columns, has_minima(format), rounded.rows(), n,
                       sums.data_ptr<float>());
      CHECK_THAT(sums.slice(1, 0, rows) - 1, CloseTo(expected.slice(0, 0, n), 0, tolerance));
    }
  });
}

}  // namespace lv
