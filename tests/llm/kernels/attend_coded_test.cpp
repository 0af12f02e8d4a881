#include "llm/kernels/attend_coded.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "llm/kernels/paged_attention.h"
#include "pipeline/kernels/cpu_features.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

KvStore store_of(int64_t heads, int64_t width, const KiviFormat& format,
                 at::ScalarType dtype = at::kFloat) {
  KvShape shape{.layers = 1, .kv_heads = heads, .head_size = width, .dtype = dtype};
  shape.kivi = format;
  return KvStore(shape);
}

void add(KvStore& store, SequenceId id, int64_t tokens) {
  const KvView view = store.view(id, 0);
  const auto options = at::dtype(view.keys.scalar_type());
  const std::vector<int64_t> sizes{tokens, view.keys.size(2), view.keys.size(3)};
  store.append(id, 0, at::randn(sizes).to(options), at::randn(sizes).to(options));
}

/// Of the tokens as they are decoded.
Partial expected(const at::Tensor& q, const PagedQuery& query, double scale) {
  const KvRows rows = gather(query.view, query.seen);
  return attend_reference(q, rows.keys, rows.values, {.offset = rows.keys.size(0) - 1}, scale);
}

}  // namespace

TEST_CASE("attention to codes is attention to what they decode to") {
  at::manual_seed(21);
  const int64_t bits = GENERATE(4, 2);
  const int64_t group = GENERATE(8, 32, 64);
  const int64_t heads = GENERATE(2, 4, 6, 10);  // of two heads of keys
  KvStore store = store_of(2, 64, {bits, group, 40});
  const at::Tensor q = at::randn({4, heads, 64});
  std::vector<PagedQuery> queries;
  std::vector<SequenceId> ids;
  for (const int64_t tokens : {30, 150, 700, 513}) {
    ids.push_back(store.create());
    add(store, ids.back(), tokens);
    store.code(ids.back());
    add(store, ids.back(), 3);
  }
  for (const SequenceId id : ids) {
    const KvView view = store.view(id, 0);
    CHECK((view.coded.tokens() > 0) == (view.tokens > 110));
    queries.push_back({view, {{0, view.tokens}}});
  }
  const int64_t end = queries[3].view.tokens;
  queries[3].seen = {{0, 5}, {37, 70}, {end - 80, end}};
  const Partial found = attend_paged(q, queries, 0.2);
  for (int64_t s = 0; s < 4; ++s) {
    const Partial right = expected(q.slice(0, s, s + 1), queries[static_cast<size_t>(s)], 0.2);
    CHECK_THAT(found.out.slice(0, s, s + 1), CloseTo(right.out, 1e-4, 2e-5));
    CHECK_THAT(found.lse.slice(0, s, s + 1), CloseTo(right.lse, 1e-4, 2e-5));
  }
}

TEST_CASE("attention to codes that are shared gives the same bits") {
  at::manual_seed(22);
  KvStore store = store_of(2, 32, {4, 32, 64});
  std::vector<SequenceId> ids{store.create()};
  add(store, ids[0], 800);
  store.code(ids[0]);
  for (int64_t s = 1; s < 4; ++s) {
    ids.push_back(store.fork(ids[0], s == 3 ? 320 : 790));
    add(store, ids.back(), 40 * s);
    store.code(ids.back());
  }
  const at::Tensor q = at::randn({4, 6, 32});
  std::vector<PagedQuery> queries;
  for (const SequenceId id : ids) {
    const KvView view = store.view(id, 0);
    queries.push_back({view, {{0, view.tokens}}});
  }
  const Partial together = attend_paged(q, queries, 0.3);
  for (int64_t s = 0; s < 4; ++s) {
    const at::Tensor one = q.slice(0, s, s + 1);
    const PagedQuery& query = queries[static_cast<size_t>(s)];
    const Partial alone = attend_paged(one, {&query, 1}, 0.3);
    CHECK(at::equal(alone.out, together.out.slice(0, s, s + 1)));
    CHECK_THAT(alone.out, CloseTo(expected(one, query, 0.3).out, 1e-4, 2e-5));
  }
}

TEST_CASE("attention to codes of bfloat16 decodes them first") {
  at::manual_seed(23);
  KvStore store = store_of(2, 32, {4, 32, 16}, at::kBFloat16);
  const SequenceId id = store.create();
  add(store, id, 100);
  store.code(id);
  const at::Tensor q = at::randn({1, 4, 32}).to(at::kBFloat16);
  const PagedQuery query{store.view(id, 0), {{0, 100}}};
  CHECK(query.view.coded.tokens() == 64);
  const at::Tensor found = attend_paged(q, {&query, 1}, 0.3).out;
  CHECK(found.scalar_type() == at::kBFloat16);
  CHECK_THAT(found.to(at::kFloat), CloseTo(expected(q, query, 0.3).out.to(at::kFloat), 0.02, 0.02));
}

TEST_CASE("rows of queries go through codes alike with and without AVX2") {
  if (!has_avx2()) return;
  at::manual_seed(24);
  const int64_t width = GENERATE(32, 64, 128);
  const int64_t count = GENERATE(1, 2, 3, 4, 8);
  const KiviFormat format{GENERATE(4, 2), 32, 0};
  const at::Tensor keys = kivi_encode_keys(at::randn({32, 1, width}) * 2, format);
  const at::Tensor values = kivi_encode_values(at::randn({32, 1, width}), format);
  const auto head = [&](const at::Tensor& page) {
    const auto* codes = page.const_data_ptr<uint8_t>();
    const auto* scales = reinterpret_cast<const uint16_t*>(codes + width * format.vector_bytes());
    return CodedHead{codes, scales, scales + width};
  };
  const at::Tensor q = at::randn({count, width});
  const auto run = [&](auto kernel) {
    at::Tensor sums = at::zeros({count, width});
    at::Tensor largest = at::full({count}, -std::numeric_limits<float>::infinity());
    at::Tensor weights = at::zeros({count});
    const RunningRows rows{q.const_data_ptr<float>(),
                           sums.mutable_data_ptr<float>(),
                           largest.mutable_data_ptr<float>(),
                           weights.mutable_data_ptr<float>(),
                           count,
                           width};
    kernel(rows, CodedBlock{head(keys), head(values), format, 0, 32});
    kernel(rows, CodedBlock{head(keys), head(values), format, 5, 20});
    return std::vector<at::Tensor>{sums / weights.unsqueeze(1), largest + weights.log()};
  };
  const auto plain = run(attend_coded);
  const auto fast = run(attend_coded_avx2);
  for (size_t i = 0; i < 2; ++i) CHECK_THAT(fast[i], CloseTo(plain[i], 1e-4, 2e-5));
}

}  // namespace lv::llm
