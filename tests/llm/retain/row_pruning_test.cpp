#include "llm/retain/row_pruning.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "tests/llm/engine/drain.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

constexpr int64_t kPrompt = 40;

std::shared_ptr<const CausalLm> tiny(const std::string& name = "tiny_fastv",
                                     const LayerPlan& plan = {}) {
  return make_model(open_checkpoint(data("tests/data/llm/" + name)), plan);
}

// tests/data/llm/make_fastv.py makes it.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/llm/tiny_fastv/golden.safetensors"))->get(name));
}

struct Memories {
  explicit Memories(const CausalLm& model) : kv(model.shape().kv()) {}
  KvStore kv;
  StateStore states;
};

/// The prompt's rows, then the four ids behind it one by one: logits [5, V] of its last row and of
/// those.
at::Tensor read(const CausalLm& model, const RowPruning* pruning, Memories& memories,
                SequenceId sequence) {
  const at::Tensor rows = model.embed(golden("ids"));
  SequenceStep prompt{sequence, rows.slice(0, 0, kPrompt), 0, 64};
  prompt.pruning = pruning;
  const Memory memory{memories.kv, memories.states};
  std::vector<at::Tensor> hidden{model.forward(pack({prompt}), memory).slice(0, -1)};
  for (int64_t at = kPrompt; at < rows.size(0); ++at) {
    hidden.push_back(model.forward(pack({{sequence, rows.slice(0, at, at + 1), at, 64}}), memory));
  }
  return model.logits(at::cat(hidden));
}

CompressedTokens visual(int64_t count, LayerPruning pruning) {
  CompressedTokens tokens{at::zeros({count, 32}), at::ones({count}), no_origin(), {}};
  tokens.pruning = pruning;
  return tokens;
}

TextTokens text(int64_t count) { return {at::zeros({count}, at::kLong)}; }

}  // namespace

TEST_CASE("fastv says what the reference says with rows left out behind a layer") {
  const auto model = tiny();
  for (const auto& [layer, keep] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 12}, {2, 12}, {2, 3}, {3, 1}}) {
    CAPTURE(layer, keep);
    const std::string name = std::to_string(layer) + "_" + std::to_string(keep);
    const RowPruning pruning{layer, keep, golden("rows")};
    Memories memories(*model);
    const SequenceId sequence = memories.kv.create();
    CHECK_THAT(read(*model, &pruning, memories, sequence),
               CloseTo(golden("logits_" + name), 1e-4, 1e-5));
    const int64_t left = golden("rows_" + name).size(0);
    CHECK(left == kPrompt - 24 + keep);
    for (int64_t i = 0; i < 4; ++i) {
      CHECK(memories.kv.length(sequence, i) == (i < layer ? kPrompt : left) + 4);
    }
    // An answer can be taken back, a pruned prompt cannot be parted.
    memories.kv.truncate(sequence, kPrompt + 1);
    CHECK(memories.kv.length(sequence, 3) == left + 1);
    CHECK_THROWS_AS(memories.kv.truncate(sequence, kPrompt - 1), Error);
    CHECK_THAT(model->logits(model->forward(
                   pack({{sequence, model->embed(golden("ids").slice(0, 41, 42)), 41, 64}}),
                   {memories.kv, memories.states})),
               CloseTo(golden("logits_" + name).slice(0, 2, 3), 1e-4, 1e-5));
  }
}

TEST_CASE("fastv leaves the others of a step alone") {
  const auto model = tiny();
  const RowPruning first{1, 5, golden("rows")}, third{3, 2, golden("rows").slice(0, 4)};
  const at::Tensor rows = model->embed(golden("ids"));
  Memories memories(*model);
  std::vector<SequenceStep> steps;
  for (const RowPruning* pruning : {&first, static_cast<const RowPruning*>(nullptr), &third}) {
    steps.push_back({memories.kv.create(), rows.slice(0, 0, kPrompt), 0, 64});
    steps.back().pruning = pruning;
  }
  const at::Tensor together = model->forward(pack(steps), {memories.kv, memories.states});
  for (size_t i = 0; i < steps.size(); ++i) {
    Memories own(*model);
    SequenceStep alone = steps[i];
    alone.sequence = own.kv.create();
    const at::Tensor expected = model->forward(pack({alone}), {own.kv, own.states});
    CHECK_THAT(together.slice(0, i * kPrompt, (i + 1) * kPrompt), CloseTo(expected, 1e-4, 1e-5));
  }
}

TEST_CASE("fastv keeps, of equals, the first rows") {
  const RowPruning pruning{2, 3, at::tensor({1, 2, 4, 5, 6}, at::kLong)};
  const at::Tensor attended = at::tensor({9.f, .1f, .3f, 0.f, .1f, .1f, NAN, 0.f});
  CHECK(at::equal(rows_left(pruning, attended), at::tensor({0, 1, 2, 3, 4, 7}, at::kLong)));
}

TEST_CASE("fastv's rows are the visual ones of a prompt") {
  TokenSequence sequence;
  sequence.segments = {text(3),       visual(5, {4, 0.5}), text(2),
                       visual(0, {}), visual(4, {4, 0.5}), text(1)};
  const RowPruning pruning = row_pruning(sequence).value();
  CHECK(pruning.layer == 4);
  CHECK(pruning.keep == 4);  // of 4.5, the even number
  CHECK(at::equal(pruning.rows, at::tensor({3, 4, 5, 6, 7, 10, 11, 12, 13}, at::kLong)));
  sequence.segments.pop_back();  // what comes next is read from the last row
  CHECK(row_pruning(sequence)->rows.size(0) == 8);
  CHECK(row_pruning(sequence)->keep == 3);
  sequence.segments = {text(3), visual(5, {4, 1}), text(2)};
  CHECK(!row_pruning(sequence));
  sequence.segments = {text(3)};
  CHECK(!row_pruning(sequence));
  sequence.segments = {visual(5, {4, 0.5}), visual(5, {3, 0.5}), text(2)};
  CHECK_THROWS_WITH(row_pruning(sequence), Catch::Contains("fastv: expected one layer"));
}

TEST_CASE("engine's text with rows left out depends on nothing else that runs") {
  const auto model = tiny();
  const auto request_of = [&](int64_t i) {
    const at::Tensor ids = at::cat({golden("ids"), golden("ids") + i}) % 67;
    EngineRequest request;
    request.embeddings = model->embed(ids);
    request.row_keys.assign(static_cast<size_t>(ids.size(0)), 7);  // as if all began alike
    if (i % 3 > 0) request.pruning = RowPruning{i % 3, 2 + i, golden("rows")};
    request.options.max_tokens = 20;
    request.context_tokens = 1024;
    return request;
  };
  std::vector<std::vector<int64_t>> expected;
  for (int64_t i = 0; i < 6; ++i) {
    Engine engine(model, small());
    auto asked = request_of(i);
    asked.row_keys.clear();
    expected.push_back(rest_of(*engine.start(std::move(asked))));
  }
  CHECK(expected[0] != expected[1]);
  for (const int64_t kv_tokens : {4096, 192}) {
    EngineLimits limits = small();
    limits.step_tokens = 16;  // fewer than what is read in one step
    limits.kv_tokens = kv_tokens;
    limits.draft_tokens = 2;
    Engine engine(model, limits);
    std::vector<std::unique_ptr<TokenStream>> streams;
    for (int64_t i = 1; i < 6; ++i) streams.push_back(engine.start(request_of(i % 3 > 0 ? i : 1)));
    for (int64_t i = 1; i < 6; ++i) {
      CHECK(rest_of(*streams[i - 1]) == expected[i % 3 > 0 ? i : 1]);
      CHECK(streams[i - 1]->cached_tokens() == 0);
    }
    CHECK((idle(engine).preemptions > 0) == (kv_tokens == 192));
  }
}

TEST_CASE("fastv is refused where layers do not read alike") {
  const auto refused = [](const std::shared_ptr<const CausalLm>& model, int64_t layer) {
    Engine engine(model, small());
    EngineRequest request;
    request.embeddings = model->embed(at::arange(9, at::kLong));
    request.context_tokens = 64;
    request.pruning = RowPruning{layer, 1, at::arange(1, 5)};
    engine.start(std::move(request));
  };
  CHECK_THROWS_WITH(refused(tiny(), 4), "fastv.layer: expected 1 to 3, got 4");
  CHECK_THROWS_WITH(refused(tiny("tiny_mistral"), 1), Catch::Contains("layer 1 has a window"));
  CHECK_THROWS_WITH(refused(tiny("tiny_mamba"), 1), Catch::Contains("keeps states"));
  LayerPlan plan;
  plan.retain = parse_json(R"({"kind": "prefixkv", "keep": 0.5})", "plan");
  CHECK_THROWS_WITH(refused(tiny("tiny_fastv", plan), 1), Catch::Contains("retain"));
}

}  // namespace lv::llm
