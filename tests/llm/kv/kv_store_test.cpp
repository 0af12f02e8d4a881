#include "llm/kv/kv_store.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <vector>

#include "llm/kv/state_store.h"
#include "pipeline/base/error.h"
#include "tests/support/is_error.h"

namespace lv::llm {
namespace {

constexpr int64_t kHeads = 2;

/// Rows that tell their token, their head and their place in it: [n, 2, 3].
at::Tensor rows(const std::vector<int64_t>& tokens) {
  const at::Tensor ids = at::tensor(tokens, at::kFloat).view({-1, 1, 1});
  return ids + at::arange(6, at::kFloat).view({kHeads, 3}) / 10;
}

/// What one group of heads remembers, as simply as can be; -1 where a token was forgotten.
using Tokens = std::vector<int64_t>;
struct Remembered {
  Tokens tokens = {};
  size_t compacted = 0, chosen = 0;  // the first so many tokens are these now

  size_t appended() const { return tokens.size() - chosen + compacted; }
};
using Model = std::map<SequenceId, std::vector<std::vector<Remembered>>>;  // by layer and group

/// The first layer keeps its heads together, the second apart.
KvShape small_shape() {
  return {.layers = 2, .kv_heads = kHeads, .head_size = 3, .groups = {1, 2}, .page_tokens = 4};
}

void require_equal(const KvView& view, const Tokens& tokens, int64_t first_head) {
  REQUIRE(view.tokens == static_cast<int64_t>(tokens.size()));
  const int64_t heads = view.keys.size(2);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0) continue;
    const auto at = static_cast<int64_t>(i);
    const TokenRange range{at, at + 1};
    const KvRows found = gather(view, {&range, 1});
    const at::Tensor expected = rows({tokens[i]}).slice(1, first_head, first_head + heads);
    REQUIRE(at::equal(found.keys, expected));
    REQUIRE(at::equal(found.values, expected * 2));
  }
}

void require_equal(const KvStore& store, const Model& model) {
  REQUIRE(store.sequence_count() == static_cast<int64_t>(model.size()));
  for (const auto& [id, layers] : model) {
    for (int64_t layer = 0; layer < 2; ++layer) {
      const auto& groups = layers[static_cast<size_t>(layer)];
      for (size_t group = 0; group < groups.size(); ++group) {
        require_equal(store.view(id, layer, static_cast<int64_t>(group)), groups[group].tokens,
                      static_cast<int64_t>(group));
      }
    }
  }
}

void append(KvStore& store, SequenceId sequence, const Tokens& tokens) {
  for (int64_t layer = 0; layer < 2; ++layer) {
    store.append(sequence, layer, rows(tokens), rows(tokens) * 2);
  }
}

/// Whether `kept` tokens end where something can be appended to.
bool whole(const Tokens& tokens, size_t kept, size_t slots) {
  for (size_t i = kept / slots * slots; i < kept; ++i) {
    if (tokens[i] < 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("kv store agrees with a plain model after any run of operations") {
  std::mt19937 random(GENERATE(1, 2, 3));
  const auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
  KvStore store(small_shape());
  Model model;
  const auto each_table = [](std::vector<std::vector<Remembered>>& layers, const auto& act) {
    for (size_t layer = 0; layer < 2; ++layer) {
      for (size_t group = 0; group < layers[layer].size(); ++group) {
        act(layers[layer][group], static_cast<int64_t>(layer), static_cast<int64_t>(group));
      }
    }
  };
  int64_t token = 0;
  for (int step = 0; step < 400; ++step) {
    const size_t what = below(12);
    if (model.empty() || what == 0) {
      model[store.create()] = {std::vector<Remembered>(1), std::vector<Remembered>(2)};
      continue;
    }
    const auto it = std::next(model.begin(), static_cast<int64_t>(below(model.size())));
    auto& layers = it->second;
    if (what < 6) {
      Tokens added(below(20));
      for (int64_t& t : added) t = token++;
      const int64_t before = store.bytes();
      const int64_t pages = store.pages_to_append(it->first, static_cast<int64_t>(added.size()));
      append(store, it->first, added);
      CHECK(store.bytes() - before <= pages * 2 * 24 * 4);
      each_table(layers, [&](Remembered& all, int64_t, int64_t) {
        all.tokens.insert(all.tokens.end(), added.begin(), added.end());
      });
    } else if (what == 6 || what == 7) {
      const size_t kept = below(layers[0][0].appended() + 2);
      auto copy = layers;
      bool possible = true;
      each_table(copy, [&](Remembered& all, int64_t layer, int64_t) {
        if (kept == 0) all = {};
        possible = possible && kept >= all.compacted;
        if (!possible) return;
        all.tokens.resize(std::min(all.tokens.size(), kept - all.compacted + all.chosen));
        possible = whole(all.tokens, all.tokens.size(), layer == 0 ? 4 : 8);
      });
      if (!possible) {
        const auto end = static_cast<int64_t>(kept);
        CHECK_THROWS_AS(store.truncate(it->first, end), Error);
        CHECK_THROWS_AS(store.fork(it->first, end), Error);
        continue;
      }
      if (what == 6) {
        store.truncate(it->first, static_cast<int64_t>(kept));
        layers = copy;
      } else {
        model[store.fork(it->first, static_cast<int64_t>(kept))] = copy;
      }
    } else if (what == 8) {
      store.drop(it->first);
      model.erase(it);
    } else if (what == 9) {
      each_table(layers, [&](Remembered& table, int64_t layer, int64_t group) {
        Tokens& all = table.tokens;
        const auto begin = static_cast<int64_t>(below(8));
        const auto end = static_cast<int64_t>(below(all.size() + 1));
        store.forget(it->first, layer, group, {begin, end});
        const int64_t slots = layer == 0 ? 4 : 8;
        const int64_t first = (begin + slots - 1) / slots * slots;
        for (int64_t i = first; i < end / slots * slots; ++i) all[static_cast<size_t>(i)] = -1;
      });
    } else if (what == 10) {
      each_table(layers, [&](Remembered& table, int64_t layer, int64_t group) {
        Tokens& all = table.tokens;
        if (!std::all_of(all.begin(), all.end(), [](int64_t t) { return t >= 0; })) return;
        std::vector<int64_t> kept;
        Tokens left;
        for (size_t i = 0; i < all.size(); ++i) {
          if (below(3) == 0) continue;
          kept.push_back(static_cast<int64_t>(i));
          left.push_back(all[i]);
        }
        store.compact(it->first, layer, group, at::tensor(kept, at::kLong));
        table = {left, table.appended(), left.size()};
      });
    } else {
      require_equal(store, model);
    }
  }
  require_equal(store, model);
  while (!model.empty()) {
    store.drop(model.begin()->first);
    model.erase(model.begin());
  }
  CHECK(store.bytes() == 0);
}

TEST_CASE("kv store shares pages until one of the owners writes") {
  KvStore store(small_shape(), 64);
  const int64_t pages = store.free_pages();
  CHECK(pages == 16 + 2 * 8);
  const SequenceId a = store.create();
  append(store, a, {0, 1, 2, 3, 4, 5});
  const int64_t used = pages - store.free_pages();
  CHECK(used == 2 + 2);
  const SequenceId b = store.fork(a, 5);
  CHECK(pages - store.free_pages() == used);
  CHECK(store.pages_to_append(b, 1) == 1 + 2);  // the last page of each table is copied
  append(store, b, {7});
  CHECK(pages - store.free_pages() == used + 3);
  CHECK(store.pages_to_append(a, 1) == 0);
  store.drop(a);
  require_equal(store.view(b, 0), {0, 1, 2, 3, 4, 7}, 0);
  store.drop(b);
  CHECK(store.free_pages() == pages);
}

TEST_CASE("kv store says when its pages are taken") {
  KvStore store(small_shape(), 8);
  const SequenceId a = store.create();
  append(store, a, {0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(store.free_pages() == 0);
  CHECK(store.pages_to_append(a, 1) == 3);
  CHECK_THROWS_MATCHES(append(store, a, {8}), Error,
                       IsError(ErrorCode::kResourceExhausted, "pages are taken"));
}

TEST_CASE("kv store refuses what it does not know") {
  KvStore store(small_shape());
  const SequenceId id = store.create();
  CHECK_THROWS_WITH(store.view(id, 2), Catch::Contains("no layer 2"));
  CHECK_THROWS_WITH(store.view(id, 0, 1), Catch::Contains("no group 1"));
  CHECK_THROWS_WITH(store.append(id, 0, rows({1, 2}), rows({1})), Catch::Contains("values"));
  append(store, id, {0, 1, 2, 3, 4, 5, 6, 7, 8});
  store.forget(id, 0, 0, {0, 4});
  const TokenRange lost{2, 6};
  CHECK_THROWS_WITH(gather(store.view(id, 0), {&lost, 1}), Catch::Contains("forgotten"));
  CHECK_THROWS_MATCHES(store.truncate(id, 2), Error,
                       IsError(ErrorCode::kFailedPrecondition, "forgotten"));
  store.drop(id);
  CHECK_THROWS_WITH(store.length(id, 0), Catch::Contains("no sequence"));
  CHECK_THROWS_WITH(store.drop(id), Catch::Contains("no sequence"));
  CHECK_THROWS_WITH(KvStore({.layers = 1, .kv_heads = 3, .head_size = 2, .groups = {2}}),
                    Catch::Contains("groups"));
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
  KvStore kv({});
  StateStore states;
  const Memory memory{kv, states};
  const SequenceId a = kv.create();
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
  CHECK(kv.sequence_count() == 3);
  CHECK_THROWS_AS(truncate(memory, a, 6), Error);
  CHECK(state(a) == 7);
  truncate(memory, a, 3);
  CHECK(state(a) == 3);
  CHECK(states.length(a) == 3);
  truncate(memory, a, 0);
  CHECK_FALSE(states.get(a, 0, "ssm").defined());
  drop(memory, b);
  CHECK_FALSE(states.get(b, 0, "ssm").defined());
  CHECK(kv.sequence_count() == 2);
}

}  // namespace lv::llm
