#include "llm/kernels/rotate_append.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/on_device.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

struct Step {
  at::Tensor q, k, v;
  RopeTable table;
  PagePlans pages;
};

/// Sequences that see nothing, all, and a window with sinks, in pages of 4 slots.
Step step_on(at::Device device, at::ScalarType type, int64_t rotary) {
  constexpr int64_t kHeads = 6, kKvHeads = 2, kWidth = 64, kPages = 9;
  at::manual_seed(21);
  const auto noise = [&](at::IntArrayRef sizes) { return at::randn(sizes).to(device, type); };
  const std::vector<std::vector<TokenRange>> seen{{}, {{0, 6}}, {{0, 3}, {7, 9}}};
  const std::vector<std::vector<int32_t>> tables{{}, {4, 2}, {8, -1, 5}};
  std::vector<int32_t> plans;
  for (size_t s = 0; s < seen.size(); ++s) {
    std::vector<int32_t> plan(static_cast<size_t>(plan_size(3)), -7);
    write_plan(plan.data(), seen[s], tables[s]);
    plans.insert(plans.end(), plan.begin(), plan.end());
  }
  // Heads of one product, as layers give them.
  const at::Tensor all = noise({3, kHeads + 2 * kKvHeads, kWidth});
  Step step{all.slice(1, 0, kHeads),
            all.slice(1, kHeads, kHeads + kKvHeads),
            all.slice(1, kHeads + kKvHeads),
            {},
            {noise({kPages, 4, kKvHeads, kWidth}), noise({kPages, 4, kKvHeads, kWidth}),
             sent(plans, device).view({3, -1})}};
  if (rotary > 0) {
    RopeSettings settings;
    settings.rotary_size = rotary;
    step.table = Rope(settings, {}, device).table(at::tensor({0, 5, 100}, at::kLong).to(device), 0);
  }
  return step;
}

}  // namespace

TEST_CASE("rotate_append stores each newest token where its plan says") {
  Step step = step_on(at::kCPU, at::kFloat, GENERATE(0, 32, 64));
  at::Tensor q = step.q.clone(), k = step.k.clone();
  if (step.table.cos.defined()) {
    rotate_(q, step.table);
    rotate_(k, step.table);
  }
  at::Tensor keys = step.pages.keys.clone(), values = step.pages.values.clone();
  keys[2][1].copy_(k[1]);  // token 5 of pages 4, 2
  values[2][1].copy_(step.v[1]);
  keys[5][0].copy_(k[2]);  // token 8 of pages 8, -, 5
  values[5][0].copy_(step.v[2]);
  rotate_append(step.q, step.k, step.v, step.table, step.pages);
  CHECK(at::equal(step.q, q));
  CHECK(at::equal(step.pages.keys, keys));
  CHECK(at::equal(step.pages.values, values));
}

TEST_CASE("rotate_append on a GPU", "[.gpu]") {
  const auto [type, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-5}, {at::kHalf, 2e-3}, {at::kBFloat16, 2e-2}}));
  const int64_t rotary = GENERATE(0, 32, 64);
  Step expected = step_on(at::kCPU, type, rotary);
  Step found = step_on(at::kCUDA, type, rotary);
  rotate_append(expected.q, expected.k, expected.v, expected.table, expected.pages);
  rotate_append(found.q, found.k, found.v, found.table, found.pages);
  const auto close = [&](const at::Tensor& a, const at::Tensor& b) {
    CHECK_THAT(a.cpu().to(at::kFloat), CloseTo(b.to(at::kFloat), error, error));
  };
  close(found.q, expected.q);
  close(found.pages.keys, expected.pages.keys);
  close(found.pages.values, expected.pages.values);
}

}  // namespace lv::llm
