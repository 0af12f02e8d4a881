#include "llm/kv/kivi.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "llm/kv/kv_store.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::llm {
namespace {

at::Tensor through_keys(const at::Tensor& rows, const KiviFormat& format) {
  return kivi_decode_keys(kivi_encode_keys(rows, format), format, rows.size(1), rows.size(2));
}

at::Tensor through_values(const at::Tensor& rows, const KiviFormat& format) {
  return kivi_decode_values(kivi_encode_values(rows, format), format, rows.size(1), rows.size(2));
}

float half(double x) { return static_cast<float>(static_cast<c10::Half>(static_cast<float>(x))); }

/// `group` numbers, coded and decoded one by one; `scale` becomes theirs.
std::vector<double> naive(const std::vector<double>& x, int64_t bits, double& scale) {
  const double most = std::pow(2, bits) - 1;
  const double least = *std::min_element(x.begin(), x.end());
  const double zero = half(least);
  scale = half((*std::max_element(x.begin(), x.end()) - least) / most);
  if (scale == 0) scale = 1;
  std::vector<double> decoded;
  for (const double value : x) {
    const double code = std::min(most, std::max(0.0, std::nearbyint((value - zero) / scale)));
    decoded.push_back(code * scale + zero);
  }
  return decoded;
}

KvShape shape_of(const KiviFormat& format) {
  KvShape shape{.layers = 2, .kv_heads = 2, .head_size = 16, .page_tokens = 4};
  shape.kivi = format;
  shape.coded = {true, false};
  return shape;
}

at::Tensor all_of(const KvView& view) {
  const TokenRange all{0, view.tokens};
  return gather(view, {&all, 1}).keys;
}

}  // namespace

TEST_CASE("kivi decodes what a plain loop decodes, to half a step") {
  at::manual_seed(11);
  const KiviFormat format{GENERATE(2, 4), GENERATE(8, 16, 32), 0};
  const at::Tensor rows = at::randn({2 * format.group, 3, 32}) * 3 + 1;
  const bool keys = GENERATE(true, false);
  const at::Tensor found = keys ? through_keys(rows, format) : through_values(rows, format);
  REQUIRE(found.sizes() == rows.sizes());
  const auto x = rows.accessor<float, 3>();
  const auto y = found.accessor<float, 3>();
  double largest = 0;
  for (int64_t head = 0; head < 3; ++head) {
    for (int64_t outer = 0; outer < 2 * 32; ++outer) {  // groups of tokens by channels, or turned
      const int64_t groups = keys ? 2 : 32 / format.group;
      const int64_t line = outer / groups;
      const int64_t first = outer % groups * format.group;
      if (line >= rows.size(keys ? 2 : 0)) continue;
      std::vector<double> group;
      const auto at = [&](const auto& values, int64_t i) {
        return keys ? values[first + i][head][line] : values[line][head][first + i];
      };
      for (int64_t i = 0; i < format.group; ++i) group.push_back(at(x, i));
      double scale = 0;
      const std::vector<double> expected = naive(group, format.bits, scale);
      for (int64_t i = 0; i < format.group; ++i) {
        const double error = std::abs(at(y, i) - expected[static_cast<size_t>(i)]);
        // Where a number lies in the middle between two codes, rounding may choose the other.
        REQUIRE((error < 1e-5 || std::abs(error - scale) < 1e-3 * scale));
        const double rounding = 20 * scale / 2048 + 12.0 / 2048;  // of scale and zero to float16
        REQUIRE(std::abs(at(y, i) - at(x, i)) <= scale / 2 + rounding);
        largest = std::max(largest, std::abs(double(at(y, i)) - at(x, i)) / scale);
      }
    }
  }
  CHECK(largest > 0.4);  // the bound is met closely: something was rounded
}

TEST_CASE("kivi loses of normal numbers what it says") {
  at::manual_seed(12);
  const at::Tensor rows = at::randn({1024, 2, 128});
  const auto error = [&](const KiviFormat& format) {
    const double keys = ((through_keys(rows, format) - rows).norm() / rows.norm()).item<double>();
    const double values =
        ((through_values(rows, format) - rows).norm() / rows.norm()).item<double>();
    CHECK(keys == Approx(values).epsilon(0.02));
    return keys;
  };
  CHECK(error({4, 32}) == Approx(0.079).epsilon(0.02));
  CHECK(error({4, 64}) == Approx(0.090).epsilon(0.02));
  CHECK(error({4, 128}) == Approx(0.100).epsilon(0.02));
  CHECK(error({2, 32}) == Approx(0.39).epsilon(0.02));
}

TEST_CASE("kivi keeps numbers that are all alike, and stays finite") {
  const KiviFormat format{4, 8, 0};
  const at::Tensor alike = at::full({8, 1, 8}, 0.25);
  CHECK(at::equal(through_keys(alike, format), alike));
  CHECK(at::equal(through_values(alike, format), alike));
  CHECK(through_keys(at::full({8, 1, 8}, 1e9), format).isfinite().all().item<bool>());
  CHECK(through_values(at::randn({8, 1, 8}) * 1e9, format).isfinite().all().item<bool>());
}

TEST_CASE("kv store codes what is older than the residual, in five bits a number") {
  at::manual_seed(13);
  const KiviFormat format{4, 16, 24};
  KvStore store(shape_of(format));
  const SequenceId id = store.create();
  const at::Tensor rows = at::randn({100, 2, 16});
  for (int64_t layer = 0; layer < 2; ++layer) store.append(id, layer, rows, rows * 2);
  const int64_t dense = store.bytes();
  CHECK(dense == 2 * 25 * 2 * 4 * 2 * 16 * 4);
  CHECK(store.view(id, 0).coded.tokens() == 0);
  store.code(id);
  const KvView view = store.view(id, 0);
  CHECK(view.coded.tokens() == 64);  // of 76, in whole groups
  CHECK(view.tokens == 100);
  const double numbers = 2 * 64 * 2 * 16;
  const auto coded = static_cast<double>(store.bytes() - (dense - int64_t{64} * 2 * 2 * 16 * 4));
  // Scales and zeros take 32 bits a group.
  CHECK(coded * 8 / numbers == 4 + 32.0 / 16);
  CHECK((KiviFormat{}.page_bytes(3, 64) * 8.0 / (32 * 3 * 64)) == 5.0);

  CHECK(at::equal(all_of(store.view(id, 1)), rows));
  CHECK_THAT(
      all_of(view),
      CloseTo(at::cat({through_keys(rows.slice(0, 0, 64), format), rows.slice(0, 64)}), 0, 0));
  const std::vector<TokenRange> some{{3, 20}, {50, 70}, {90, 91}};
  const KvRows values = gather(view, some);
  const at::Tensor all =
      at::cat({through_values(rows.slice(0, 0, 64) * 2, format), rows.slice(0, 64) * 2});
  CHECK(at::equal(values.values,
                  at::cat({all.slice(0, 3, 20), all.slice(0, 50, 70), all.slice(0, 90, 91)})));
  store.drop(id);
  CHECK(store.bytes() == 0);
}

TEST_CASE("kv store with a long residual codes nothing") {
  KvStore store(shape_of({4, 8, 128}));
  const SequenceId id = store.create();
  const at::Tensor rows = at::randn({100, 2, 16});
  for (int64_t layer = 0; layer < 2; ++layer) store.append(id, layer, rows, rows);
  store.code(id);
  CHECK(at::equal(all_of(store.view(id, 0)), rows));
}

TEST_CASE("kv store that codes refuses ends within a group, forgetting, and groups of heads") {
  KvStore store(shape_of({4, 8, 8}));
  const SequenceId id = store.create();
  const at::Tensor rows = at::randn({40, 2, 16});
  for (int64_t layer = 0; layer < 2; ++layer) store.append(id, layer, rows, rows);
  store.code(id);
  CHECK_THROWS_MATCHES(store.truncate(id, 29), Error,
                       IsError(ErrorCode::kFailedPrecondition, "coded in groups of 8"));
  CHECK_THROWS_AS(store.fork(id, 3), Error);
  CHECK(store.sequence_count() == 1);
  CHECK(store.view(id, 1).tokens == 40);
  CHECK_THROWS_WITH(store.forget(id, 0, 0, {0, 8}), Catch::Contains("forgets none"));
  KvShape grouped = shape_of({4, 8, 8});
  grouped.groups = {2, 1};
  CHECK_THROWS_WITH(KvStore(grouped), Catch::Contains("expected one group"));
  CHECK_THROWS_WITH(KvStore(shape_of({4, 32, 8})), Catch::Contains("divisor of a head's 16"));
  CHECK_THROWS_WITH(KvStore(shape_of({3, 8, 8})), Catch::Contains("bits: expected 4 or 2"));
}

TEST_CASE("kv store has more room once tokens are coded, and counts codes") {
  KvShape shape = shape_of({4, 8, 0});
  shape.coded = {};
  KvStore store(shape, 64);
  CHECK(store.free_pages() == 2 * 16);
  const SequenceId id = store.create();
  const at::Tensor rows = at::randn({64, 2, 16});
  for (int64_t layer = 0; layer < 2; ++layer) store.append(id, layer, rows, rows);
  CHECK(store.free_pages() == 0);
  store.code(id);
  CHECK(store.bytes() == 2 * 64 * 2 * 2 * 16);  // eight bits a number with groups so small
  CHECK(store.free_pages() == 2 * 16 * 3 / 4);
  store.drop(id);
  CHECK(store.free_pages() == 2 * 16);
}

TEST_CASE("kv store codes alike however tokens come, fork and end") {
  std::mt19937 random(GENERATE(1, 2, 3));
  const auto below = [&](size_t n) { return static_cast<int64_t>(random() % n); };
  at::manual_seed(14);
  const KiviFormat format{GENERATE(2, 4), 8, GENERATE(0, 12)};
  KvStore store(shape_of(format));
  std::map<SequenceId, at::Tensor> model;  // as the rows came
  const auto check_all = [&] {
    for (const auto& [id, rows] : model) {
      const KvView view = store.view(id, 0);
      const int64_t coded = view.coded.tokens();
      REQUIRE(view.tokens == rows.size(0));
      const at::Tensor old = rows.slice(0, 0, coded);
      REQUIRE(at::equal(all_of(view), at::cat({coded > 0 ? through_keys(old, format) : old,
                                               rows.slice(0, coded)})));
      REQUIRE(at::equal(all_of(store.view(id, 1)), rows));
    }
  };
  for (int step = 0; step < 200; ++step) {
    if (model.empty()) model[store.create()] = at::empty({0, 2, 16});
    const auto it = std::next(model.begin(), below(model.size()));
    const SequenceId id = it->first;
    at::Tensor& rows = it->second;
    const int64_t what = below(9);
    if (what < 4) {
      const at::Tensor added = at::randn({below(30), 2, 16});
      const int64_t before = store.bytes();
      const int64_t pages = store.pages_to_append(id, added.size(0));
      for (int64_t layer = 0; layer < 2; ++layer) store.append(id, layer, added, added);
      CHECK(store.bytes() - before <= pages * 2 * 4 * 2 * 16 * 4);
      rows = at::cat({rows, added});
    } else if (what == 4) {
      const int64_t before = store.bytes();
      store.code(id);
      const int64_t left = rows.size(0) - store.view(id, 0).coded.tokens();
      CHECK(left < format.residual + 8 + 8);
      if (model.size() == 1) CHECK(store.bytes() <= before);
    } else if (what < 7) {
      const int64_t coded = store.view(id, 0).coded.tokens();
      const int64_t kept = below(static_cast<size_t>(rows.size(0)) + 2);
      if (kept < coded && kept % format.group != 0) {
        CHECK_THROWS_AS(store.truncate(id, kept), Error);
        CHECK_THROWS_AS(store.fork(id, kept), Error);
      } else if (what == 5) {
        store.truncate(id, kept);
        rows = rows.slice(0, 0, kept);
      } else {
        const at::Tensor begun = rows.slice(0, 0, kept);
        model[store.fork(id, kept)] = begun;
      }
    } else if (what == 7 && model.size() > 2) {
      store.drop(id);
      model.erase(id);
    } else {
      check_all();
    }
  }
  check_all();
  for (const auto& [id, rows] : model) store.drop(id);
  CHECK(store.bytes() == 0);
}

}  // namespace lv::llm
