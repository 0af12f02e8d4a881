#include "llm/kernels/paged_attention.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "llm/kernels/attend_rows.h"
#include "pipeline/kernels/cpu_features.h"

namespace lv::llm {
namespace {

struct Case {
  int64_t heads, kv_heads, width;
};

at::Tensor noise(at::IntArrayRef sizes) { return at::randn(sizes); }

/// What each sequence remembers, beside the store that pages it.
struct Remembered {
  std::vector<SequenceId> ids;
  std::vector<at::Tensor> keys, values;  // [m, Hkv, Dh]
};

void add(KvStore& store, Remembered& all, size_t s, int64_t tokens) {
  const auto& shape = all.keys[s].sizes();
  const at::Tensor k = noise({tokens, shape[1], shape[2]});
  const at::Tensor v = noise({tokens, shape[1], shape[2]});
  store.append(all.ids[s], 0, k, v);
  all.keys[s] = at::cat({all.keys[s], k});
  all.values[s] = at::cat({all.values[s], v});
}

Remembered remember(KvStore& store, const Case& sizes, const std::vector<int64_t>& lengths) {
  Remembered all;
  for (const int64_t length : lengths) {
    all.ids.push_back(store.create());
    all.keys.push_back(at::empty({0, sizes.kv_heads, sizes.width}));
    all.values.push_back(at::empty({0, sizes.kv_heads, sizes.width}));
    add(store, all, all.ids.size() - 1, length);
  }
  return all;
}

void require_close(const at::Tensor& found, const at::Tensor& expected) {
  REQUIRE(found.sizes() == expected.sizes());
  REQUIRE((found - expected).abs().max().item<double>() < 2e-5);
}

}  // namespace

TEST_CASE("paged attention is attention over the tokens seen") {
  at::manual_seed(3);
  const Case sizes = GENERATE(Case{9, 3, 64}, Case{4, 4, 16}, Case{8, 1, 128}, Case{2, 1, 6});
  KvStore store({.layers = 1,
                 .kv_heads = sizes.kv_heads,
                 .head_size = sizes.width,
                 .page_tokens = GENERATE(1, 5, 16)});
  const Remembered all = remember(store, sizes, {1, 2, 17, 64, 300, 513});
  const at::Tensor q = noise({6, sizes.heads, sizes.width});
  std::vector<PagedQuery> queries;
  for (const SequenceId id : all.ids) {
    const KvView view = store.view(id, 0);
    const int64_t m = view.tokens;
    queries.push_back({view, m > 100 ? std::vector<TokenRange>{{0, 3}, {m - 70, m}}
                                     : std::vector<TokenRange>{{m / 3, m}}});
  }
  const Partial found = attend_paged(q, queries, 0.2);
  for (size_t s = 0; s < queries.size(); ++s) {
    const auto row = static_cast<int64_t>(s);
    std::vector<at::Tensor> keys, values;
    for (const TokenRange& range : queries[s].seen) {
      keys.push_back(all.keys[s].slice(0, range.begin, range.end));
      values.push_back(all.values[s].slice(0, range.begin, range.end));
    }
    const at::Tensor k = at::cat(keys);
    const Partial expected = attend_reference(q.slice(0, row, row + 1), k, at::cat(values),
                                              {.offset = k.size(0) - 1}, 0.2);
    require_close(found.out.slice(0, row, row + 1), expected.out);
    require_close(found.lse.slice(0, row, row + 1), expected.lse);
  }
}

TEST_CASE("paged attention reads shared pages once, and gives the same bits") {
  at::manual_seed(4);
  const Case sizes{6, 2, 32};
  KvStore store({.layers = 1, .kv_heads = sizes.kv_heads, .head_size = sizes.width});
  Remembered all = remember(store, sizes, {700});
  for (size_t s = 1; s < 4; ++s) {
    const auto shared = static_cast<int64_t>(600 - 30 * s);
    all.ids.push_back(store.fork(all.ids[0], shared));
    all.keys.push_back(all.keys[0].slice(0, 0, shared));
    all.values.push_back(all.values[0].slice(0, 0, shared));
    add(store, all, s, static_cast<int64_t>(40 * s));
  }
  const at::Tensor q = noise({4, sizes.heads, sizes.width});
  std::vector<PagedQuery> queries;
  for (const SequenceId id : all.ids) {
    const KvView view = store.view(id, 0);
    queries.push_back({view, {{0, view.tokens}}});
  }
  const Partial together = attend_paged(q, queries, 0.3);
  for (size_t s = 0; s < queries.size(); ++s) {
    const auto row = static_cast<int64_t>(s);
    const at::Tensor one = q.slice(0, row, row + 1);
    const Partial alone = attend_paged(one, {&queries[s], 1}, 0.3);
    REQUIRE(at::equal(alone.out, together.out.slice(0, row, row + 1)));
    REQUIRE(at::equal(alone.lse, together.lse.slice(0, row, row + 1)));
    const Partial expected =
        attend_reference(one, all.keys[s], all.values[s], {.offset = all.keys[s].size(0) - 1}, 0.3);
    require_close(alone.out, expected.out);
  }
}

TEST_CASE("paged attention gathers what the kernel does not read") {
  at::manual_seed(5);
  KvStore store({.layers = 1, .kv_heads = 2, .head_size = 8, .dtype = at::kBFloat16});
  const SequenceId id = store.create();
  const at::Tensor k = noise({40, 2, 8}).to(at::kBFloat16);
  const at::Tensor v = noise({40, 2, 8}).to(at::kBFloat16);
  store.append(id, 0, k, v);
  const at::Tensor q = noise({1, 4, 8}).to(at::kBFloat16);
  const PagedQuery query{store.view(id, 0), {{0, 40}}};
  const Partial found = attend_paged(q, {&query, 1}, 0.3);
  const Partial expected = attend_reference(q, k, v, {.offset = 39}, 0.3);
  CHECK(found.out.scalar_type() == at::kBFloat16);
  CHECK((found.out.to(at::kFloat) - expected.out.to(at::kFloat)).abs().max().item<double>() < 0.02);
}

TEST_CASE("paged attention on a GPU reads pages in place", "[.gpu]") {
  at::manual_seed(7);
  const auto [dtype, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-4}, {at::kHalf, 4e-3}, {at::kBFloat16, 3e-2}}));
  const Case sizes = GENERATE(Case{9, 3, 64}, Case{4, 4, 128}, Case{8, 1, 128}, Case{14, 2, 64},
                              Case{4, 2, 64}, Case{4, 2, 72});
  CAPTURE(at::toString(dtype), sizes.heads, sizes.kv_heads, sizes.width);
  KvStore store({.layers = 1,
                 .kv_heads = sizes.kv_heads,
                 .head_size = sizes.width,
                 .dtype = dtype,
                 .device = at::kCUDA,
                 .page_tokens = GENERATE(5, 16)});
  const std::vector<int64_t> lengths{1, 2, 17, 64, 300, 5000};
  std::vector<SequenceId> ids;
  std::vector<at::Tensor> keys, values;
  std::vector<int32_t> offsets{0};
  const auto place = at::TensorOptions(at::kCUDA).dtype(dtype);
  for (const int64_t length : lengths) {
    ids.push_back(store.create());
    keys.push_back(noise({length, sizes.kv_heads, sizes.width}).to(place));
    values.push_back(noise({length, sizes.kv_heads, sizes.width}).to(place));
    offsets.push_back(offsets.back() + static_cast<int32_t>(length));
  }
  store.append(ids, offsets, 0, at::cat(keys), at::cat(values));
  const at::Tensor q = noise({6, sizes.heads, sizes.width}).to(place);
  std::vector<PagedQuery> queries;
  for (size_t s = 0; s < ids.size(); ++s) {
    const int64_t m = lengths[s];
    queries.push_back({store.view(ids[s], 0), m > 100 && m < 1000
                                                  ? std::vector<TokenRange>{{0, 3}, {m - 70, m}}
                                                  : std::vector<TokenRange>{{m / 3, m}}});
  }
  const Partial found = attend_paged(q, queries, 0.2);
  CHECK(found.out.scalar_type() == dtype);
  for (size_t s = 0; s < queries.size(); ++s) {
    CAPTURE(s);
    const auto row = static_cast<int64_t>(s);
    std::vector<at::Tensor> k, v;
    for (const TokenRange& range : queries[s].seen) {
      k.push_back(keys[s].slice(0, range.begin, range.end));
      v.push_back(values[s].slice(0, range.begin, range.end));
    }
    const at::Tensor all = at::cat(k);
    const Partial expected = attend_reference(q.slice(0, row, row + 1), all, at::cat(v),
                                              {.offset = all.size(0) - 1}, 0.2);
    CHECK((found.out[row] - expected.out[0]).abs().max().item<double>() < error);
    CHECK((found.lse[row] - expected.lse[0]).abs().max().item<double>() < error);
  }
}

namespace {

/// q and plans of sequences that see nothing, all, and a window with sinks.
void check_planned(at::Device device, at::ScalarType type, double error) {
  at::manual_seed(8);
  const Case sizes = GENERATE(Case{9, 3, 64}, Case{4, 4, 128}, Case{32, 8, 128});
  const int64_t splits = GENERATE(1, 2, 16);
  const int64_t pages = 512, slots = 16;
  const auto there = at::TensorOptions(device).dtype(type);
  const at::Tensor keys = noise({pages, slots, sizes.kv_heads, sizes.width}).to(there);
  const at::Tensor values = noise({pages, slots, sizes.kv_heads, sizes.width}).to(there);
  const std::vector<std::vector<TokenRange>> seen{
      {}, {{0, 1}}, {{0, 100}}, {{0, 4}, {3001, 4000}}, {{0, 8000}}};
  const auto count = static_cast<int64_t>(seen.size());
  std::vector<int32_t> plans(static_cast<size_t>(count * plan_size(pages)), -1);
  const at::Tensor order = at::randperm(pages).to(at::kInt);
  for (size_t s = 0; s < seen.size(); ++s) {
    write_plan(plans.data() + s * static_cast<size_t>(plan_size(pages)), seen[s],
               {order.const_data_ptr<int32_t>(), static_cast<size_t>(pages)});
  }
  // Heads among others, as layers give them.
  const at::Tensor q =
      noise({count, sizes.heads + 2, sizes.width}).to(there).slice(1, 0, sizes.heads);
  const at::Tensor sent = at::tensor(plans, at::kInt).view({count, -1}).to(device);
  const Partial found = attend_planned(q, {keys, values, sent}, splits, 0.2);
  CHECK(found.out[0].abs().max().item<double>() == 0);
  const at::Tensor table = order.to(device);
  const at::Tensor all_keys = keys.index_select(0, table).flatten(0, 1);
  const at::Tensor all_values = values.index_select(0, table).flatten(0, 1);
  for (size_t s = 1; s < seen.size(); ++s) {
    CAPTURE(s, splits, sizes.heads, sizes.width);
    const auto row = static_cast<int64_t>(s);
    std::vector<at::Tensor> k, v;
    for (const TokenRange& range : seen[s]) {
      k.push_back(all_keys.slice(0, range.begin, range.end));
      v.push_back(all_values.slice(0, range.begin, range.end));
    }
    const at::Tensor mine = at::cat(k);
    const Partial expected = attend_reference(q.slice(0, row, row + 1).contiguous(), mine,
                                              at::cat(v), {.offset = mine.size(0) - 1}, 0.2);
    CHECK((found.out[row] - expected.out[0]).abs().max().item<double>() < error);
    CHECK((found.lse[row] - expected.lse[0]).abs().max().item<double>() < error);
  }
}

}  // namespace

TEST_CASE("attention by plans") { check_planned(at::kCPU, at::kFloat, 1e-4); }
TEST_CASE("attention by plans on a GPU", "[.gpu]") {
  const auto [type, error] = GENERATE(table<at::ScalarType, double>(
      {{at::kFloat, 1e-4}, {at::kHalf, 4e-3}, {at::kBFloat16, 3e-2}}));
  check_planned(at::kCUDA, type, error);
}

TEST_CASE("rows of queries go through a block of keys alike with and without AVX2") {
  if (!has_avx2()) return;
  at::manual_seed(6);
  const int64_t width = GENERATE(8, 64, 72, 128);
  const int64_t count = GENERATE(1, 3, 4, 9, 64);
  const double spread = GENERATE(0.1, 6.0);  // the second lets weights underflow
  const at::Tensor q = noise({3, width}) * spread;
  const at::Tensor k = noise({count, width}) * spread;
  const at::Tensor v = noise({count, width});
  KeyBlock block;
  for (int64_t t = 0; t < count; ++t) {
    block.keys[t] = k[t].const_data_ptr<float>();
    block.values[t] = v[t].const_data_ptr<float>();
  }
  block.count = count;
  const auto run = [&](auto kernel) {
    at::Tensor sums = at::zeros({3, width});
    at::Tensor largest = at::full({3}, -std::numeric_limits<float>::infinity());
    at::Tensor weights = at::zeros({3});
    const RunningRows rows{q.const_data_ptr<float>(),
                           sums.mutable_data_ptr<float>(),
                           largest.mutable_data_ptr<float>(),
                           weights.mutable_data_ptr<float>(),
                           3,
                           width};
    kernel(rows, block);
    kernel(rows, block);
    return std::vector<at::Tensor>{sums / weights.unsqueeze(1), largest + weights.log()};
  };
  const auto plain = run(attend_rows);
  const auto fast = run(attend_rows_avx2);
  require_close(fast[0], plain[0]);
  CHECK((fast[1] - plain[1]).abs().max().item<double>() <
        1e-5 * (1 + plain[1].abs().max().item<double>()));
}

}  // namespace lv::llm
