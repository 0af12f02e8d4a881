#include "llm/kv/kv_store.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <vector>

#include "llm/kv/state_store.h"
#include "pipeline/base/error.h"
#include "tests/support/is_error.h"

namespace lv::llm {
namespace {

constexpr int64_t kLayers = 2;

at::Tensor rows(const std::vector<int64_t>& tokens) {
  const at::Tensor ids = at::tensor(tokens, at::kFloat).view({-1, 1, 1});
  return ids + at::arange(6, at::kFloat).view({2, 3}) / 10;
}

/// A store as simple as can be: which token lies at which place.
using Model = std::map<SequenceId, std::vector<std::vector<int64_t>>>;

void require_equal(const KvStore& store, const Model& model) {
  REQUIRE(store.sequence_count() == static_cast<int64_t>(model.size()));
  for (const auto& [id, layers] : model) {
    for (int64_t layer = 0; layer < kLayers; ++layer) {
      const std::vector<int64_t>& tokens = layers[static_cast<size_t>(layer)];
      const KvView view = store.view(id, layer);
      REQUIRE(store.length(id, layer) == static_cast<int64_t>(tokens.size()));
      REQUIRE(at::equal(view.positions, at::tensor(tokens, at::kLong)));
      REQUIRE(at::equal(view.keys, rows(tokens)));
      REQUIRE(at::equal(view.values, rows(tokens) * 2));
    }
  }
}

}  // namespace

TEST_CASE("kv store agrees with a plain model after any run of operations") {
  std::mt19937 random(GENERATE(1, 2, 3));
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  const auto store = make_dense_kv_store({kLayers, 2, 3});
  Model model;
  int64_t token = 0;
  for (int step = 0; step < 300; ++step) {
    const size_t what = below(10);
    if (model.empty() || what == 0) {
      model[store->create(static_cast<int64_t>(below(100)))].resize(kLayers);
      continue;
    }
    const auto it = std::next(model.begin(), static_cast<int64_t>(below(model.size())));
    if (what < 6) {
      std::vector<int64_t> added(below(40));
      for (int64_t& t : added) t = token++;
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        store->append(it->first, layer, rows(added), rows(added) * 2, at::tensor(added, at::kLong));
        auto& all = it->second[static_cast<size_t>(layer)];
        all.insert(all.end(), added.begin(), added.end());
      }
    } else if (what == 6) {
      const size_t kept = below(it->second[0].size() + 2);
      store->truncate(it->first, static_cast<int64_t>(kept));
      for (auto& all : it->second) all.resize(std::min(all.size(), kept));
    } else if (what == 7) {
      const size_t kept = below(it->second[0].size() + 2);
      auto copy = it->second;
      for (auto& all : copy) all.resize(std::min(all.size(), kept));
      model[store->fork(it->first, static_cast<int64_t>(kept))] = copy;
    } else if (what == 8) {
      store->drop(it->first);
      model.erase(it);
    } else {
      require_equal(*store, model);
    }
  }
  require_equal(*store, model);
  while (!model.empty()) {
    store->drop(model.begin()->first);
    model.erase(model.begin());
  }
  CHECK(store->bytes() == 0);
}

TEST_CASE("kv store does not move what was expected") {
  const auto store = make_dense_kv_store({1, 2, 3});
  const SequenceId id = store->create(200);
  store->append(id, 0, rows({1}), rows({1}), at::tensor({1}, at::kLong));
  const void* before = store->view(id, 0).keys.const_data_ptr();
  const std::vector<int64_t> more(199, 7);
  store->append(id, 0, rows(more), rows(more), at::tensor(more, at::kLong));
  CHECK(store->view(id, 0).keys.const_data_ptr() == before);
  CHECK(store->bytes() == 2 * 200 * 6 * 4);
}

TEST_CASE("kv store refuses what it does not know") {
  const auto store = make_dense_kv_store({1, 2, 3});
  const SequenceId id = store->create(0);
  CHECK_THROWS_WITH(store->view(id, 1), Catch::Contains("no layer 1"));
  CHECK_THROWS_WITH(store->append(id, 0, rows({1, 2}), rows({1}), at::tensor({1}, at::kLong)),
                    Catch::Contains("keys"));
  store->drop(id);
  CHECK_THROWS_WITH(store->length(id, 0), Catch::Contains("no sequence"));
  CHECK_THROWS_WITH(store->drop(id), Catch::Contains("no sequence"));
}

TEST_CASE("state store keeps states by sequence, layer and name") {
  StateStore states;
  const auto a = static_cast<SequenceId>(1);
  const auto b = static_cast<SequenceId>(2);
  states.set(a, 0, "conv", at::ones({2}));
  states.set(b, 0, "conv", at::zeros({2}));
  CHECK(at::equal(states.get(a, 0, "conv"), at::ones({2})));
  CHECK_FALSE(states.get(a, 1, "conv").defined());
  CHECK_FALSE(states.get(a, 0, "ssm").defined());
  states.drop(a);
  CHECK_FALSE(states.get(a, 0, "conv").defined());
  CHECK(states.get(b, 0, "conv").defined());
  CHECK(states.bytes() == 8);
}

TEST_CASE("state store goes back only to what it kept") {
  const auto kv = make_dense_kv_store({});
  StateStore states;
  const Memory memory{*kv, states};
  const SequenceId a = kv->create(0);
  const auto read = [&](SequenceId sequence, int64_t tokens) {
    states.set(sequence, 0, "ssm", at::full({1}, states.length(sequence) + tokens));
    states.advance(sequence, tokens);
  };
  const auto state = [&](SequenceId sequence) {
    return states.get(sequence, 0, "ssm").item<int64_t>();
  };
  read(a, 3);
  states.keep(a);
  read(a, 4);
  const SequenceId b = fork(memory, a, 3);
  const SequenceId c = fork(memory, a, 9);
  CHECK(state(b) == 3);
  CHECK(state(c) == 7);
  read(b, 2);  // does not touch what it was forked from
  CHECK(state(b) == 5);
  CHECK(state(a) == 7);
  CHECK_THROWS_MATCHES(fork(memory, a, 5), Error, IsError(ErrorCode::kFailedPrecondition, "5"));
  CHECK(kv->sequence_count() == 3);
  CHECK_THROWS_AS(truncate(memory, a, 6), Error);
  CHECK(state(a) == 7);
  truncate(memory, a, 3);
  CHECK(state(a) == 3);
  CHECK(states.length(a) == 3);
  truncate(memory, a, 0);
  CHECK_FALSE(states.get(a, 0, "ssm").defined());
  drop(memory, b);
  CHECK_FALSE(states.get(b, 0, "ssm").defined());
  CHECK(kv->sequence_count() == 2);
}

}  // namespace lv::llm
