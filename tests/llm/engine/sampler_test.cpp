#include "llm/engine/sampler.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

const std::vector<double> kShares{0.4, 0.3, 0.2, 0.1};

at::Tensor logits_of(const std::vector<double>& shares) {
  return at::tensor(shares, at::kDouble).log().to(at::kFloat);
}

/// How often each token is drawn in `count` draws.
std::map<int64_t, int> drawn(GenerationOptions options, int count) {
  Sampler sampler(options, 4);
  std::map<int64_t, int> times;
  for (int i = 0; i < count; ++i) ++times[sampler.next(logits_of(kShares))];
  return times;
}

std::set<int64_t> support(const GenerationOptions& options) {
  std::set<int64_t> ids;
  for (const auto& [id, times] : drawn(options, 2000)) ids.insert(id);
  return ids;
}

GenerationOptions hot(double temperature = 1) {
  GenerationOptions options;
  options.temperature = temperature;
  options.seed = 7;
  return options;
}

}  // namespace

TEST_CASE("sampler is greedy at temperature zero and prefers the lower id") {
  Sampler sampler({}, 4);
  CHECK(sampler.next(at::tensor({1.0F, 3.0F, 3.0F, 2.0F})) == 1);
}

TEST_CASE("sampler draws as often as the model says") {
  const int count = 100000;
  const auto times = drawn(hot(), count);
  double chi_square = 0;
  for (size_t id = 0; id < kShares.size(); ++id) {
    const double expected = kShares[id] * count;
    chi_square += std::pow(times.at(static_cast<int64_t>(id)) - expected, 2) / expected;
  }
  CHECK(chi_square < 11.34);  // 3 degrees of freedom, p = 0.01; the seed is fixed
}

TEST_CASE("sampler keeps what top-k, top-p and min-p keep") {
  GenerationOptions options = hot();
  options.top_k = 2;
  CHECK(support(options) == std::set<int64_t>{0, 1});
  options = hot();
  options.top_p = 0.69;
  CHECK(support(options) == std::set<int64_t>{0, 1});
  options.top_p = 0.71;
  CHECK(support(options) == std::set<int64_t>{0, 1, 2});
  options = hot();
  options.min_p = 0.6;
  CHECK(support(options) == std::set<int64_t>{0, 1});
  options.min_p = 1;
  CHECK(support(options) == std::set<int64_t>{0});
  options = hot(0.01);  // 0.4 to 0.3 becomes 3e12 to 1
  CHECK(support(options) == std::set<int64_t>{0});
}

TEST_CASE("sampler applies top-p to what top-k left") {
  GenerationOptions options = hot();
  options.top_k = 2;    // shares 4/7 and 3/7
  options.top_p = 0.5;  // of the two, one is enough; of all four it would not be
  CHECK(support(options) == std::set<int64_t>{0});
}

TEST_CASE("sampler penalises what was seen, prompt and answer") {
  GenerationOptions options;
  options.repetition_penalty = 2;
  Sampler sampler(options, 3);
  sampler.observe({0});
  const at::Tensor logits = at::tensor({3.0F, 2.0F, 1.8F});
  CHECK(sampler.next(logits) == 1);                             // 1.5, 2, 1.8
  CHECK(sampler.next(logits) == 2);                             // 1.5, 1, 1.8
  CHECK(sampler.next(logits) == 0);                             // 1.5, 1, 0.9
  CHECK(sampler.next(at::tensor({-1.0F, -1.5F, -1.9F})) == 0);  // -2, -3, -3.8
}

TEST_CASE("sampler's draws depend on the seed and the place alone") {
  Sampler a(hot(), 4);
  Sampler b(hot(), 4);
  Sampler other(hot(), 4);
  GenerationOptions reseeded = hot();
  reseeded.seed = 8;
  Sampler c(reseeded, 4);
  std::vector<int64_t> from_a;
  std::vector<int64_t> from_b;
  std::vector<int64_t> from_c;
  for (int i = 0; i < 40; ++i) {
    from_a.push_back(a.next(logits_of(kShares)));
    other.next(logits_of({0.1, 0.2, 0.3, 0.4}));
    from_b.push_back(b.next(logits_of(kShares)));
    from_c.push_back(c.next(logits_of(kShares)));
  }
  CHECK(from_a == from_b);
  CHECK(from_a != from_c);
}

TEST_CASE("sampler chooses among what a constraint leaves, and tells it what was chosen") {
  struct After : TokenConstraint {
    void mask(std::span<float> scores) override {
      for (size_t id = 0; id < scores.size(); ++id) {
        if (!allowed.contains(static_cast<int64_t>(id))) scores[id] = -INFINITY;
      }
    }
    void accept(int64_t id) override { accepted.push_back(id); }
    std::set<int64_t> allowed{1, 3};
    std::vector<int64_t> accepted;
  };
  const double temperature = GENERATE(0.0, 1.0);
  GenerationOptions options = hot(temperature);
  options.repetition_penalty = 1.3;  // whose seen tokens stay forbidden
  const auto constraint = std::make_shared<After>();
  Sampler sampler(options, 4, constraint);
  sampler.observe({0, 2});
  std::vector<int64_t> chosen;
  for (int i = 0; i < 100; ++i) chosen.push_back(sampler.next(logits_of(kShares)));
  CHECK(constraint->accepted == chosen);
  CHECK(std::set<int64_t>(chosen.begin(), chosen.end()) ==
        (temperature > 0 ? std::set<int64_t>{1, 3} : std::set<int64_t>{1}));
  constraint->allowed = {};
  CHECK_THROWS_WITH(sampler.next(logits_of(kShares)),
                    Catch::Contains("that the constraint allows"));
}

TEST_CASE("sampler refuses logits that are no numbers") {
  Sampler sampler({}, 2);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(sampler.next(at::tensor({0.0F, nan})), Catch::Contains("expected finite"));
  CHECK_THROWS_WITH(sampler.next(at::tensor({0.0F, infinity})), Catch::Contains("expected finite"));
  CHECK_THROWS_WITH(sampler.next(at::tensor({-infinity, -infinity})),
                    Catch::Contains("expected finite"));
  CHECK(sampler.next(at::tensor({-infinity, 0.0F})) == 1);
  CHECK_THROWS_WITH(sampler.next(at::zeros({3})), Catch::Contains("expected [2], got [3]"));
}

}  // namespace lv::llm
