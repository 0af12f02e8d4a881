#include "llm/engine/engine.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "llm/models/models.h"
#include "pipeline/base/error.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

std::shared_ptr<const CausalLm> tiny_model() {
  static const std::shared_ptr<const CausalLm> model =
      make_model(open_checkpoint(data("tests/data/llm/tiny_llama")));
  return model;
}

at::Tensor golden(const char* tensor) {
  const auto store = open_safetensors(data("tests/data/llm/tiny_llama/golden.safetensors"));
  return std::get<at::Tensor>(store->get(tensor));
}

EngineRequest request_of(const at::Tensor& ids, int64_t max_tokens) {
  EngineRequest request;
  request.embeddings = tiny_model()->embed(ids);
  request.prompt_ids.assign(ids.const_data_ptr<int64_t>(),
                            ids.const_data_ptr<int64_t>() + ids.numel());
  request.options.max_tokens = max_tokens;
  request.context_tokens = 64;
  return request;
}

std::vector<int64_t> rest_of(TokenStream& stream) {
  std::vector<int64_t> ids;
  while (const auto id = stream.next()) ids.push_back(*id);
  return ids;
}

std::vector<int64_t> golden_ids() {
  const at::Tensor ids = golden("greedy_ids")[0];
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

/// A prompt of its own for each `i`, drawn from at a temperature.
EngineRequest sampled_request(int64_t i) {
  const at::Tensor ids = (at::arange(3 + 5 * i, at::kLong) * (i + 1)) % 60 + 3;
  EngineRequest request = request_of(ids, 10 + i);
  request.options.temperature = 0.9;
  request.options.seed = static_cast<uint64_t>(i);
  return request;
}

}  // namespace

TEST_CASE("engine continues a prompt as the reference does, whatever the step's size") {
  const int64_t step_tokens = GENERATE(1, 5, 128);
  EngineLimits limits;
  limits.step_tokens = step_tokens;
  Engine engine(tiny_model(), limits);
  const auto stream = engine.start(request_of(golden("input_ids")[0], 6));
  CHECK(stream->finish() == FinishReason::kNone);
  CHECK(rest_of(*stream) == golden_ids());
  CHECK(stream->finish() == FinishReason::kLength);
  CHECK_FALSE(stream->next());
}

TEST_CASE("engine's answers do not depend on what else runs") {
  constexpr int64_t kCount = 7;
  std::vector<std::vector<int64_t>> alone;
  for (int64_t i = 0; i < kCount; ++i) {
    Engine engine(tiny_model());
    alone.push_back(rest_of(*engine.start(sampled_request(i))));
  }
  EngineLimits limits;
  limits.max_sequences = GENERATE(2, 16);
  limits.step_tokens = 7;
  Engine engine(tiny_model(), limits);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int64_t i = 0; i < kCount; ++i) streams.push_back(engine.start(sampled_request(i)));
  for (int64_t i = kCount - 1; i >= 0; --i) {
    CHECK(rest_of(*streams[static_cast<size_t>(i)]) == alone[static_cast<size_t>(i)]);
  }
}

TEST_CASE("engine ends at a stop token, which is not part of the answer") {
  Engine engine(tiny_model());
  EngineRequest request = request_of(golden("input_ids")[0], 6);
  const std::vector<int64_t> expected = golden_ids();
  request.stop_ids = {1000, expected[2]};
  const auto stream = engine.start(std::move(request));
  CHECK(rest_of(*stream) == std::vector<int64_t>(expected.begin(), expected.begin() + 2));
  CHECK(stream->finish() == FinishReason::kStop);
}

TEST_CASE("engine ends where the context does") {
  Engine engine(tiny_model());
  EngineRequest request = request_of(golden("input_ids")[0], 1000);
  request.context_tokens = 17;  // of 14 prompt tokens
  const auto stream = engine.start(std::move(request));
  CHECK(rest_of(*stream).size() == 3);
  CHECK(stream->finish() == FinishReason::kLength);
}

TEST_CASE("engine refuses prompts that it cannot answer") {
  Engine engine(tiny_model());
  const at::Tensor ids = golden("input_ids")[0];
  CHECK_THROWS_WITH(engine.start(request_of(ids.slice(0, 0, 0), 1)),
                    Catch::Contains("at least one token"));
  EngineRequest full = request_of(ids, 1);
  full.context_tokens = 14;
  CHECK_THROWS_WITH(engine.start(std::move(full)),
                    Catch::Contains("expected fewer than 14 tokens (the context), got 14"));
  CHECK_THROWS_WITH(engine.start(request_of(ids, 0)), Catch::Contains("max_tokens"));
  EngineRequest wide = request_of(ids, 1);
  wide.embeddings = at::zeros({2, 33});
  CHECK_THROWS_WITH(engine.start(std::move(wide)), Catch::Contains("expected [*, 32]"));
}

TEST_CASE("engine fails the run whose logits are no numbers, and no other") {
  Engine engine(tiny_model());
  EngineRequest broken = request_of(golden("input_ids")[0], 6);
  broken.embeddings = at::full_like(broken.embeddings, std::numeric_limits<float>::quiet_NaN());
  const auto bad = engine.start(std::move(broken));
  const auto good = engine.start(request_of(golden("input_ids")[0], 6));
  CHECK_THROWS_WITH(bad->next(), Catch::Contains("expected finite numbers"));
  CHECK(rest_of(*good) == golden_ids());
}

TEST_CASE("engine drops what nobody wants any more and goes on") {
  EngineLimits limits;
  limits.max_sequences = 1;
  Engine engine(tiny_model(), limits);
  auto wanted = engine.start(request_of(golden("input_ids")[0], 6));
  {
    std::vector<std::unique_ptr<TokenStream>> unwanted;
    for (int i = 0; i < 5; ++i) {
      unwanted.push_back(engine.start(request_of(golden("input_ids")[1], 50)));
    }
  }
  const auto next = engine.start(request_of(golden("input_ids")[0], 6));
  CHECK(rest_of(*next) == golden_ids());
  CHECK(rest_of(*wanted) == golden_ids());
}

TEST_CASE("engine answers threads that ask at the same time") {
  Engine engine(tiny_model());
  std::vector<std::vector<int64_t>> answers(4);
  std::vector<std::thread> threads;
  for (auto& answer : answers) {
    threads.emplace_back([&engine, &answer] {
      answer = rest_of(*engine.start(request_of(golden("input_ids")[0], 6)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& answer : answers) CHECK(answer == golden_ids());
}

}  // namespace lv::llm
