#include "audio/encoders/token_table.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"

namespace lv::audio {

TEST_CASE("a halved token table gives the same rows and products") {
  const int64_t width = GENERATE(1, 31, 32, 100);
  const at::Tensor weight = lcg_tensor(1, {257, width}).to(at::kHalf).to(at::kFloat);
  const TokenTable table(weight);
  const TokenTable reference(weight, /*may_halve=*/false);
  CHECK_FALSE(reference.halved());
  const at::Tensor ids = at::tensor({0, 256, 7}, at::kLong);
  CHECK_THAT(table.rows(ids), CloseTo(reference.rows(ids), 0, 0));
  for (const int64_t rows : {1, 4, 5}) {
    // Sums in another order.
    const at::Tensor x = lcg_tensor(2, {1, rows, width});
    CHECK_THAT(table.logits(x), CloseTo(reference.logits(x), 1e-5, 1e-5));
  }
}

TEST_CASE("a table that half precision would round stays as it is") {
  at::Tensor weight = at::ones({3, 4});
  weight[1][2] = 1 + 1e-5;
  CHECK_FALSE(TokenTable(weight).halved());
}

}  // namespace lv::audio
