#include "llm/retain/prefix_kv.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "llm/kernels/paged_attention.h"
#include "llm/kv/kv_store.h"
#include "llm/retain/retention.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

constexpr int64_t kAlways = 5;

std::unique_ptr<Retention> retention(const char* text, int64_t layers = 0) {
  return make_retention(parse_json(text, "plan"), layers);
}

int64_t sum_of(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

/// Importance of all kinds: from nearly flat to nearly all on one token.
at::Tensor random_importance(int64_t layers, int64_t tokens) {
  return (at::randn({layers, tokens}, at::kDouble) * at::rand({layers, 1}, at::kDouble) * 4)
      .exp()
      .to(at::kFloat);
}

/// The same by trying every share that makes a difference, from the largest down.
std::vector<int64_t> exhaustive(const at::Tensor& importance, double keep) {
  const int64_t layers = importance.size(0);
  const int64_t tokens = importance.size(1);
  std::vector<std::vector<double>> held;
  std::vector<double> shares{0};
  for (int64_t layer = 0; layer < layers; ++layer) {
    const at::Tensor row = importance[layer].to(at::kDouble).contiguous();
    std::vector<double> sorted(row.const_data_ptr<double>(), row.const_data_ptr<double>() + tokens);
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    std::partial_sum(sorted.begin(), sorted.end(), sorted.begin());
    const double all = sorted.back();
    for (double& share : sorted) share /= all;
    shares.insert(shares.end(), sorted.begin(), sorted.end());
    held.push_back(sorted);
  }
  std::sort(shares.begin(), shares.end(), std::greater<>());
  const double budget = (1 - keep) * static_cast<double>(layers * tokens);
  std::vector<int64_t> forgotten;
  for (const double share : shares) {
    forgotten.clear();
    for (const auto& layer : held) {
      const auto needed = std::lower_bound(layer.begin(), layer.end(), share) - layer.begin() + 1;
      forgotten.push_back(std::max<int64_t>(0, tokens - needed - kAlways));
    }
    if (static_cast<double>(sum_of(forgotten)) >= budget) break;
  }
  const double part = std::min(1.0, budget / std::max(1.0, double(sum_of(forgotten))));
  for (int64_t& count : forgotten) {
    count = tokens - static_cast<int64_t>(std::floor(static_cast<double>(count) * part));
  }
  return forgotten;
}

}  // namespace

TEST_CASE("prefix kv finds the share that every other search finds, within the budget") {
  at::manual_seed(GENERATE(1, 2, 3, 4));
  const double keep = GENERATE(0.1, 0.2, 0.5, 0.9);
  const at::Tensor importance = random_importance(6, GENERATE(80, 401));
  const std::vector<int64_t> counts = prefix_kv_counts(importance, keep, kAlways);
  CHECK(counts == exhaustive(importance, keep));
  const double budget = keep * static_cast<double>(importance.numel());
  CHECK(std::abs(static_cast<double>(sum_of(counts)) - budget) <= 5.0 * 6);
}

TEST_CASE("prefix kv keeps fewer tokens where few hold all importance") {
  at::Tensor importance = at::ones({3, 100});
  importance[1][40] = 1000;
  const std::vector<int64_t> counts = prefix_kv_counts(importance, 0.5, kAlways);
  CHECK(counts[1] < counts[0]);
  CHECK(counts[0] == counts[2]);
  CHECK(sum_of(counts) >= 150);
  CHECK(sum_of(counts) <= 153);
}

TEST_CASE("prefix kv keeps all of a whole, and of importance that is no number what is asked for") {
  at::manual_seed(5);
  const at::Tensor importance = random_importance(4, 50);
  CHECK(prefix_kv_counts(importance, 1, kAlways) == std::vector<int64_t>(4, 50));
  const at::Tensor broken = at::full({4, 50}, std::nan(""));
  CHECK(sum_of(prefix_kv_counts(broken, 0.5, kAlways)) >= 100);
}

TEST_CASE("prefix kv keeps the first tokens, the last, and the most important between them") {
  const auto method = retention(R"({"kind": "prefixkv", "keep": 0.4, "start": 2, "window": 9})");
  CHECK(method->window() == 9);
  at::Tensor importance = at::arange(20, at::kFloat) / 100;
  importance[5] = 3;
  const auto kept = method->kept({importance, importance});
  REQUIRE(kept.size() == 2);
  CHECK(at::equal(kept[0], at::tensor({0, 1, 5, 15, 16, 17, 18, 19}, at::kLong)));
  for (const int64_t tokens : {1, 2, 3}) {
    const auto few = method->kept({at::ones({tokens})});
    CHECK(at::equal(few[0], at::arange(tokens, at::kLong)));
  }
}

TEST_CASE("prefix kv takes the layers' shares from the plan") {
  const char* text = R"({"kind": "prefixkv", "ratios": [0.25, 0.5, 0.01]})";
  const auto kept = retention(text, 3)->kept({at::rand({40}), at::rand({40}), at::rand({40})});
  CHECK(kept[0].size(0) == 10);
  CHECK(kept[1].size(0) == 20);
  CHECK(at::equal(kept[2], at::tensor({0, 1, 2, 3, 39}, at::kLong)));
  CHECK_THROWS_WITH(retention(text, 4), Catch::Contains("ratios: expected one for each of 4"));
}

TEST_CASE("attention to kept tokens is attention to all with the others hidden") {
  at::manual_seed(8);
  KvStore store({.layers = 1, .kv_heads = 2, .head_size = 16, .page_tokens = 4});
  const SequenceId id = store.create();
  const at::Tensor k = at::randn({50, 2, 16});
  const at::Tensor v = at::randn({50, 2, 16});
  store.append(id, 0, k, v);
  const auto method = retention(R"({"kind": "prefixkv", "keep": 0.3})");
  const at::Tensor kept = method->kept({at::rand({50})})[0];
  CHECK(kept.size(0) == 15);
  store.compact(id, 0, 0, kept);
  const at::Tensor q = at::randn({1, 6, 16});
  const PagedQuery query{store.view(id, 0), {{0, kept.size(0)}}};
  const at::Tensor found = attend_paged(q, {&query, 1}, 0.25).out;

  const at::Tensor mask = at::full({50}, -INFINITY, at::kDouble).index_fill(0, kept, 0);
  for (int64_t head = 0; head < 6; ++head) {
    const at::Tensor keys = k.select(1, head / 3).to(at::kDouble);
    const at::Tensor scores = keys.matmul(q[0][head].to(at::kDouble)) * 0.25 + mask;
    const at::Tensor out = scores.softmax(0).matmul(v.select(1, head / 3).to(at::kDouble));
    CHECK_THAT(found[0][head], CloseTo(out.to(at::kFloat), 1e-5, 1e-5));
  }
}

TEST_CASE("prefix kv names the setting that it refuses") {
  const auto refuses = [](const char* text, const char* named) {
    CHECK_THROWS_WITH(retention(text), Catch::Contains(named));
  };
  refuses(R"({"kind": "h2o"})", "plan.retain.kind 'h2o': not known; there are prefixkv");
  refuses(R"({"kind": "prefixkv"})", "either keep or ratios");
  refuses(R"({"kind": "prefixkv", "keep": 0.5, "ratios": [1]})", "either keep or ratios");
  refuses(R"({"kind": "prefixkv", "keep": 0})", "keep: expected more than 0");
  refuses(R"({"kind": "prefixkv", "keep": 0.2, "start": -1})", "start: expected 0 or more");
  refuses(R"({"kind": "prefixkv", "keep": 0.2, "window": 0})", "window: expected at least 1");
  refuses(R"({"kind": "prefixkv", "keep": 0.2, "last": 2})", "'last' is not known");
  refuses(R"({"kind": "prefixkv", "ratios": [0.5, 2]})", "ratios: expected more than 0");
}

}  // namespace lv::llm
