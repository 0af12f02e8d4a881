#include "llm/models/cached_attention.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "llm/models/packed_batch.h"

namespace lv::llm {
namespace {

constexpr int64_t kHeads = 4;
constexpr int64_t kKvHeads = 2;
constexpr int64_t kWidth = 8;
constexpr double kScale = 0.4;

struct Text {
  at::Tensor q, k, v;  // [n, H or Hkv, Dh]
};

Text random_text(int64_t n) {
  return {at::randn({n, kHeads, kWidth}), at::randn({n, kKvHeads, kWidth}),
          at::randn({n, kKvHeads, kWidth})};
}

/// Attention head by head with a mask written out.
at::Tensor expected(const Text& text, const std::vector<SpanRule>& rules, int64_t planned) {
  const int64_t n = text.q.size(0);
  at::Tensor out = at::empty_like(text.q);
  for (int64_t head = 0; head < kHeads; ++head) {
    const int64_t kv_head = head / (kHeads / kKvHeads);
    const auto group = static_cast<size_t>(rules.size() == 1 ? 0 : kv_head);
    const KeySpan span = span_at(rules[group], planned);
    at::Tensor scores = at::matmul(text.q.select(1, head).to(at::kDouble),
                                   text.k.select(1, kv_head).to(at::kDouble).t()) *
                        kScale;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const bool seen = j <= i && (span.all() || j < span.sinks || j > i - span.window);
        if (!seen) scores[i][j] = -std::numeric_limits<double>::infinity();
      }
    }
    out.select(1, head).copy_(
        at::matmul(at::softmax(scores, 1), text.v.select(1, kv_head).to(at::kDouble)));
  }
  return out;
}

/// The texts read together, in steps of so many tokens of each.
std::vector<at::Tensor> read(const std::vector<Text>& texts, const std::vector<SpanRule>& rules,
                             int64_t step, int64_t planned, bool forgetful) {
  KvStore kv({.layers = 1,
              .kv_heads = kKvHeads,
              .head_size = kWidth,
              .groups = {static_cast<int64_t>(rules.size())},
              .page_tokens = 4});
  const CachedAttention attention(rules, kScale);
  std::vector<SequenceId> ids;
  std::vector<std::vector<at::Tensor>> outs(texts.size());
  for (size_t s = 0; s < texts.size(); ++s) ids.push_back(kv.create());
  for (int64_t at = 0; at < texts[0].q.size(0); at += step) {
    std::vector<at::Tensor> q, k, v;
    std::vector<SequenceStep> steps;
    for (size_t s = 0; s < texts.size(); ++s) {
      q.push_back(texts[s].q.slice(0, at, at + step));
      k.push_back(texts[s].k.slice(0, at, at + step));
      v.push_back(texts[s].v.slice(0, at, at + step));
      steps.push_back({ids[s], at::empty({q.back().size(0), 1}), at, planned});
    }
    const at::Tensor out = attention(at::cat(q), at::cat(k), at::cat(v), pack(steps), 0, kv);
    int64_t row = 0;
    for (size_t s = 0; s < texts.size(); ++s) {
      outs[s].push_back(out.slice(0, row, row + q[s].size(0)));
      row += q[s].size(0);
      if (forgetful) attention.forget_unseen(ids[s], planned, 0, kv);
    }
  }
  std::vector<at::Tensor> result;
  for (const auto& parts : outs) result.push_back(at::cat(parts));
  return result;
}

}  // namespace

TEST_CASE("cached attention sees what its spans say, in steps of any size") {
  at::manual_seed(7);
  const int64_t n = 150;
  const std::vector<std::vector<SpanRule>> choices = {
      {KeySpan{}},
      {KeySpan{5}},
      {KeySpan{6, 3}},
      {KeySpan{40, 10}, KeySpan{}},
      {ElasticSpan{0, 0.5, 9}, ElasticSpan{0, 0, 2}},
      {ElasticSpan{0, 1}, ElasticSpan{64, 1}},
  };
  const auto& rules = GENERATE_REF(from_range(choices));
  const std::vector<Text> texts{random_text(n), random_text(n)};
  for (const int64_t step : {1, 7, 64, 150}) {
    for (const bool forgetful : {false, true}) {
      const auto found = read(texts, rules, step, n, forgetful);
      for (size_t s = 0; s < texts.size(); ++s) {
        CHECK((found[s] - expected(texts[s], rules, n)).abs().max().item<double>() < 1e-5);
      }
    }
  }
}

TEST_CASE("cached attention with spans as wide as the text gives the bits of all keys") {
  at::manual_seed(8);
  const std::vector<Text> texts{random_text(130)};
  for (const int64_t step : {1, 50}) {
    const at::Tensor all = read(texts, {KeySpan{}, KeySpan{}}, step, 130, true)[0];
    CHECK(at::equal(read(texts, {ElasticSpan{0, 1}, ElasticSpan{0, 1}}, step, 130, true)[0], all));
    CHECK(at::equal(read(texts, {KeySpan{130}, KeySpan{500, 4}}, step, 130, true)[0], all));
  }
}

TEST_CASE("cached attention mixes single tokens and pieces of texts in a step") {
  at::manual_seed(9);
  KvStore kv({.layers = 1, .kv_heads = kKvHeads, .head_size = kWidth, .page_tokens = 4});
  const CachedAttention attention({KeySpan{}}, kScale);
  const Text a = random_text(20);
  const Text b = random_text(9);
  const SequenceId first = kv.create();
  const SequenceId second = kv.create();
  const auto step = [&](std::vector<std::tuple<SequenceId, const Text*, int64_t, int64_t>> parts) {
    std::vector<at::Tensor> q, k, v;
    std::vector<SequenceStep> steps;
    for (const auto& [id, text, begin, end] : parts) {
      q.push_back(text->q.slice(0, begin, end));
      k.push_back(text->k.slice(0, begin, end));
      v.push_back(text->v.slice(0, begin, end));
      steps.push_back({id, at::empty({end - begin, 1}), begin, 20});
    }
    return attention(at::cat(q), at::cat(k), at::cat(v), pack(steps), 0, kv);
  };
  step({{first, &a, 0, 10}});
  const at::Tensor out = step({{first, &a, 10, 11}, {second, &b, 0, 9}});
  CHECK((out[0] - expected(a, {KeySpan{}}, 20)[10]).abs().max().item<double>() < 1e-5);
  CHECK((out.slice(0, 1) - expected(b, {KeySpan{}}, 9)).abs().max().item<double>() < 1e-5);
}

}  // namespace lv::llm
