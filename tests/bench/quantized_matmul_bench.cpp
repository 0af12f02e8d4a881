#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "pipeline/kernels/quantized_kernels.h"
#include "pipeline/kernels/quantized_matmul.h"

// Products of the matrices of a Llama of 135 million weights with n rows, quantised and dense.
// One line of JSON for each format and n: milliseconds of all its matrices, one after the other,
// the bytes of blocks that were read a second and the operations. The first line is what bounds
// these: how fast memory is read, and how fast the kernels multiply a panel that lies in the
// nearest cache.

namespace lv {
namespace {

constexpr int kRuns = 20;

struct Shape {
  int64_t rows;
  int64_t columns;
};

struct Timing {
  double median;
  double low;   // 10th percentile
  double high;  // 90th
};

Timing time_ms(const std::function<void()>& work) {
  work();
  std::vector<double> times;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    times.push_back(spent.count());
  }
  std::ranges::sort(times);
  return {times[kRuns / 2], times[kRuns / 10], times[kRuns - 1 - kRuns / 10]};
}

/// Blocks with random weights; random bits would hold float16 scales that are not finite
/// or, which some processors convert slowly, subnormal.
QuantizedMatrix random_matrix(BlockFormat format, Shape shape) {
  const BlockLayout layout = layout_of(format);
  const int64_t row_bytes = shape.columns / layout.weights * layout.bytes;
  return {format, shape.rows, shape.columns,
          at::randint(4, 60, {shape.rows, row_bytes}, at::kByte)};
}

double read_gb_per_s() {
  const at::Tensor much = at::ones({int64_t{1} << 28}, at::kByte).view(at::kLong);
  return static_cast<double>(much.nbytes()) / 1e6 / time_ms([&] { at::sum(much); }).median;
}

double multiply_gop_per_s(const QuantizedKernels& kernels) {
  constexpr int64_t kColumns = 256;
  constexpr int64_t kRows = 8;
  constexpr int64_t kTimes = 20000;
  const int64_t threads = at::get_num_threads();
  const at::Tensor values = at::ones({kColumns * kPanelRows}, at::kShort);
  const at::Tensor scales = at::ones({kColumns / kGroup * kPanelRows * 2});
  const RoundedRows x{values.const_data_ptr<int16_t>(), scales.const_data_ptr<float>(), kColumns};
  const Timing spent = time_ms([&] {
    at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
      std::vector<int16_t> own(values.const_data_ptr<int16_t>(),
                               values.const_data_ptr<int16_t>() + values.numel());
      std::vector<float> steps(kColumns / kGroup * kPanelRows);
      std::vector<float> sums(kRows * kPanelRows);
      for (int64_t i = 0; i < kTimes; ++i) {
        kernels.multiply({own.data(), steps.data(), steps.data()}, kColumns, false, x, kRows,
                         sums.data());
      }
    });
  });
  return 2e-6 * static_cast<double>(threads * kTimes * kColumns * kPanelRows * kRows) /
         spent.median;
}

void print_bounds() {
  const QuantizedKernels* kernels = quantized_kernels();
  std::printf(
      "{\"bench\": \"bounds\", \"kernels\": \"%s\", \"threads\": %d, \"read_gb_per_s\": %.1f, "
      "\"multiply_gop_per_s\": %.1f}\n",
      kernels == nullptr ? "none" : std::string(kernels->name).c_str(), at::get_num_threads(),
      read_gb_per_s(), kernels == nullptr ? 0 : multiply_gop_per_s(*kernels));
}

void run(BlockFormat format, int64_t multiple) {
  // Rounded up where a super-block of 256 weights asks for it.
  const auto wide = [&](int64_t x) { return (x + multiple - 1) / multiple * multiple; };
  std::vector<Shape> shapes;
  for (int layer = 0; layer < 30; ++layer) {
    shapes.insert(shapes.end(), {{576, wide(576)},
                                 {192, wide(576)},
                                 {192, wide(576)},
                                 {576, wide(576)},
                                 {1536, wide(576)},
                                 {1536, wide(576)},
                                 {576, wide(1536)}});
  }
  shapes.push_back({49152, wide(576)});
  std::vector<QuantizedMatrix> quantized;
  std::vector<at::Tensor> dense;
  for (const Shape& shape : shapes) {
    quantized.push_back(random_matrix(format, shape));
    dense.push_back(dequantize(quantized.back()));
  }
  double bytes = 0;
  double weights = 0;
  for (const QuantizedMatrix& matrix : quantized) {
    bytes += static_cast<double>(matrix.blocks.nbytes());
    weights += static_cast<double>(matrix.rows * matrix.columns);
  }
  for (const int64_t n : {1, 2, 4, 8, 12, 16, 24, 32, 128}) {
    const at::Tensor narrow = at::randn({n, wide(576)});
    const at::Tensor broad = at::randn({n, wide(1536)});
    const auto input = [&](int64_t columns) -> const at::Tensor& {
      return columns == narrow.size(1) ? narrow : broad;
    };
    const Timing ours = time_ms([&] {
      for (const auto& matrix : quantized) quantized_matmul(input(matrix.columns), matrix);
    });
    const Timing theirs = time_ms([&] {
      for (const auto& matrix : dense) at::linear(input(matrix.size(1)), matrix);
    });
    std::printf(
        "{\"bench\": \"quantized_matmul\", \"format\": \"%s\", \"n\": %lld, \"threads\": %d, "
        "\"ms\": %.2f, \"p10\": %.2f, \"p90\": %.2f, \"gb_per_s\": %.1f, \"gop_per_s\": %.1f, "
        "\"dense_ms\": %.2f, \"dense_p10\": %.2f, "
        "\"speedup\": %.2f}\n",
        std::string(name_of(format)).c_str(), static_cast<long long>(n), at::get_num_threads(),
        ours.median, ours.low, ours.high, bytes / 1e6 / ours.median,
        2e-6 * weights * static_cast<double>(n) / ours.median, theirs.median, theirs.low,
        theirs.median / ours.median);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 2);
  lv::print_bounds();
  for (const auto format :
       {lv::BlockFormat::kQ4_0, lv::BlockFormat::kQ4_1, lv::BlockFormat::kQ5_0,
        lv::BlockFormat::kQ5_1, lv::BlockFormat::kQ8_0, lv::BlockFormat::kQ2_K,
        lv::BlockFormat::kQ3_K, lv::BlockFormat::kQ4_K, lv::BlockFormat::kQ5_K,
        lv::BlockFormat::kQ6_K, lv::BlockFormat::kF16, lv::BlockFormat::kBF16}) {
    lv::run(format, lv::layout_of(format).weights);
  }
}
