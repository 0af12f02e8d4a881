#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "pipeline/kernels/quantized_matmul.h"

// Products of the matrices of a Llama of 135 million weights with n rows, quantised and dense.
// One line of JSON for each format and n: milliseconds of all its matrices, one after the other.

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

/// Blocks with random weights; random bits would hold float16 scales that are not finite.
QuantizedMatrix random_matrix(BlockFormat format, Shape shape) {
  const BlockLayout layout = layout_of(format);
  const int64_t row_bytes = shape.columns / layout.weights * layout.bytes;
  return {format, shape.rows, shape.columns,
          at::randint(0, 60, {shape.rows, row_bytes}, at::kByte)};
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
        "\"ms\": %.2f, \"p10\": %.2f, \"p90\": %.2f, \"dense_ms\": %.2f, \"dense_p10\": %.2f, "
        "\"speedup\": %.2f}\n",
        std::string(name_of(format)).c_str(), static_cast<long long>(n), at::get_num_threads(),
        ours.median, ours.low, ours.high, theirs.median, theirs.low, theirs.median / ours.median);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 2);
  for (const auto format :
       {lv::BlockFormat::kQ4_0, lv::BlockFormat::kQ4_1, lv::BlockFormat::kQ5_0,
        lv::BlockFormat::kQ5_1, lv::BlockFormat::kQ8_0, lv::BlockFormat::kQ2_K,
        lv::BlockFormat::kQ3_K, lv::BlockFormat::kQ4_K, lv::BlockFormat::kQ5_K,
        lv::BlockFormat::kQ6_K, lv::BlockFormat::kF16, lv::BlockFormat::kBF16}) {
    lv::run(format, lv::layout_of(format).weights);
  }
}
