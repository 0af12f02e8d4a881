#include "llm/kernels/column_sums.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

bool sees(int64_t query, int64_t key, const CausalMask& mask) {
  const int64_t place = mask.offset + query;
  return key <= place && (mask.window == 0 || key > place - mask.window || key < mask.sinks);
}

/// Softmax and sum as they are defined, in float64.
at::Tensor naive(const at::Tensor& q, const at::Tensor& k, CausalMask mask, double scale) {
  const int64_t heads = q.size(1);
  const int64_t m = k.size(0);
  at::Tensor sums = at::zeros({m}, at::kDouble);
  auto* sum = sums.mutable_data_ptr<double>();
  for (int64_t h = 0; h < heads; ++h) {
    const at::Tensor keys = k.select(1, h / (heads / k.size(1))).to(at::kDouble);
    for (int64_t i = 0; i < q.size(0); ++i) {
      const at::Tensor scores = keys.matmul(q[i][h].to(at::kDouble)) * scale;
      const auto* score = scores.const_data_ptr<double>();
      double total = 0;
      for (int64_t j = 0; j < m; ++j) total += sees(i, j, mask) ? std::exp(score[j]) : 0;
      for (int64_t j = 0; j < m; ++j) {
        if (sees(i, j, mask)) sum[j] += std::exp(score[j]) / total / static_cast<double>(heads);
      }
    }
  }
  return sums.to(at::kFloat);
}

}  // namespace

TEST_CASE("column sums are what all queries and heads give a key") {
  at::manual_seed(7);
  const int64_t heads = GENERATE(2, 6);  // of two heads of keys
  const int64_t n = GENERATE(1, 64, 70);
  const int64_t m = GENERATE(70, 512, 1030);
  const at::Tensor q = at::randn({n, heads, 16});
  const at::Tensor k = at::randn({m, 2, 16});
  for (const CausalMask& mask : {CausalMask{m - n}, CausalMask{m - n, 20, 3}}) {
    const at::Tensor lse = attend_reference(q, k, k, mask, 0.3).lse;
    const at::Tensor found = column_sums(q, k, lse, mask, 0.3);
    CHECK(found.sum().item<double>() == Approx(n).epsilon(1e-4));
    CHECK_THAT(found, CloseTo(naive(q, k, mask, 0.3), 1e-4, 1e-6));
  }
}

}  // namespace lv::llm
