#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/engine/parity.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

std::shared_ptr<const CausalLm> tiny_mamba() {
  return make_model(open_checkpoint(data("tests/data/llm/tiny_mamba")));
}

at::Tensor golden(const char* tensor) {
  const auto store = open_safetensors(data("tests/data/llm/tiny_mamba/golden.safetensors"));
  return std::get<at::Tensor>(store->get(tensor));
}

}  // namespace

TEST_CASE("mamba reads packed sequences of other lengths as each alone") {
  const auto model = tiny_mamba();
  KvStore kv({});
  StateStore together_states;
  StateStore alone_states;
  const std::vector<int64_t> lengths{3, 1, 9};
  std::vector<SequenceId> ids;
  for (size_t s = 0; s < lengths.size(); ++s) ids.push_back(kv.create());
  std::vector<int64_t> read(lengths.size(), 0);
  for (const std::vector<int64_t>& counts :
       {lengths, {1, 1, 1}, {2, 1, 1}, {1, 1, 1}}) {  // prompts, one step for all, and a mixture
    std::vector<SequenceStep> steps;
    std::vector<at::Tensor> alone;
    for (size_t s = 0; s < ids.size(); ++s) {
      const at::Tensor tokens = (at::arange(counts[s], at::kLong) * 7 + 5 * int64_t(s)) % 67;
      steps.push_back({ids[s], model->embed(tokens), read[s], 64});
      alone.push_back(model->forward(pack({steps.back()}), {kv, alone_states}));
      read[s] += counts[s];
    }
    const at::Tensor together = model->forward(pack(steps), {kv, together_states});
    CHECK_THAT(together, CloseTo(at::cat(alone), 1e-4, 1e-5));
  }
  CHECK(together_states.length(ids[2]) == 12);
}

TEST_CASE("mamba sequences fork and are dropped without a trace") {
  const auto model = tiny_mamba();
  KvStore kv({});
  StateStore states;
  const Memory memory{kv, states};
  const SequenceId first = kv.create();
  const at::Tensor ids = golden("input_ids")[0];
  const auto read = [&](SequenceId sequence, int64_t begin, int64_t end) {
    const at::Tensor rows = model->embed(ids.slice(0, begin, end));
    return model->logits(model->forward(pack({{sequence, rows, begin, 64}}), memory));
  };
  read(first, 0, 8);
  states.keep(first);
  const SequenceId second = fork(memory, first, 8);
  const at::Tensor expected = golden("logits")[0].slice(0, 8);
  CHECK_THAT(read(second, 8, 14), CloseTo(expected, 1e-4, 1e-4));
  CHECK_THAT(read(first, 8, 14), CloseTo(expected, 1e-4, 1e-4));
  truncate(memory, first, 8);
  CHECK_THAT(read(first, 8, 14), CloseTo(expected, 1e-4, 1e-4));
  drop(memory, first);
  drop(memory, second);
  CHECK(states.bytes() == 0);
}

TEST_CASE("mamba answers in the engine, beside others") {
  const auto model = tiny_mamba();
  Engine engine(model, {.step_tokens = 5});
  const auto start = [&](int64_t row) {
    EngineRequest request;
    request.embeddings = model->embed(golden("input_ids")[row]);
    request.options.max_tokens = 6;
    request.context_tokens = 64;
    return engine.start(request);
  };
  const auto other = start(1);
  const auto stream = start(0);
  std::vector<int64_t> got;
  while (const auto id = stream->next()) got.push_back(*id);
  CHECK(at::equal(at::tensor(got, at::kLong), golden("greedy_ids")[0]));
}

TEST_CASE("mamba begins where a prompt that began alike ended") {
  const auto model = tiny_mamba();
  Engine engine(model, {.step_tokens = 5, .draft_tokens = 3});
  const auto answer = [&](Engine& reader, int64_t length, int64_t last) {
    at::Tensor ids = at::arange(length, at::kLong) * 3 % 50 + 3;
    ids[-1] = last;
    EngineRequest request;
    request.embeddings = model->embed(ids);
    request.prompt_ids.assign(ids.const_data_ptr<int64_t>(),
                              ids.const_data_ptr<int64_t>() + length);
    request.row_keys.assign(request.prompt_ids.begin(), request.prompt_ids.end());
    request.options.max_tokens = 6;
    request.context_tokens = 64;
    const auto stream = reader.start(std::move(request));
    std::vector<int64_t> got;
    while (const auto id = stream->next()) got.push_back(*id);
    return std::pair{got, stream->cached_tokens()};
  };
  const auto fresh = [&](int64_t length, int64_t last) {
    Engine other(model, {.cached_tokens = 0});
    return answer(other, length, last).first;
  };
  CHECK(answer(engine, 40, 7) == std::pair{fresh(40, 7), int64_t{0}});
  CHECK(answer(engine, 40, 9) == std::pair{fresh(40, 9), int64_t{32}});
  // States stand for all that was read: nothing shorter is known.
  CHECK(answer(engine, 30, 9) == std::pair{fresh(30, 9), int64_t{0}});
}

TEST_CASE("a GGUF file of a Mamba model gives the logits of the reference") {
  const Checkpoint checkpoint = open_checkpoint(data("tests/data/llm/tiny_mamba.gguf"));
  CHECK(checkpoint.config().at("time_step_rank").as_int() == 2);
  const auto model = make_model(checkpoint);
  const CausalOutputs got = causal_outputs(*model, golden("input_ids"), 6);
  CHECK_THAT(got.logits, CloseTo(golden("logits"), 1e-4, 1e-4));
  CHECK(at::equal(got.greedy_ids, golden("greedy_ids")));
  CHECK(model->shape().max_positions == tiny_mamba()->shape().max_positions);
}

TEST_CASE("mamba refuses plans that name layers or positions") {
  const Checkpoint checkpoint = open_checkpoint(data("tests/data/llm/tiny_mamba"));
  LayerPlan plan;
  plan.layers = {{{KeySpan{5}}}};
  CHECK_THROWS_WITH(make_model(checkpoint, plan), Catch::Contains("Mamba"));
}

}  // namespace lv::llm
