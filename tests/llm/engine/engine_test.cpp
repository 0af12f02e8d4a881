#include "llm/engine/engine.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "llm/models/models.h"
#include "llm/plan/layer_plan.h"
#include "pipeline/base/error.h"
#include "tests/llm/engine/drain.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

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

std::vector<uint64_t> keys_of(const EngineRequest& request) {
  return {request.prompt_ids.begin(), request.prompt_ids.end()};
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
  EngineLimits limits = small();
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
    Engine engine(tiny_model(), small());
    alone.push_back(rest_of(*engine.start(sampled_request(i))));
  }
  EngineLimits limits = small();
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
  Engine engine(tiny_model(), small());
  EngineRequest request = request_of(golden("input_ids")[0], 6);
  const std::vector<int64_t> expected = golden_ids();
  request.stop_ids = {1000, expected[2]};
  const auto stream = engine.start(std::move(request));
  CHECK(rest_of(*stream) == std::vector<int64_t>(expected.begin(), expected.begin() + 2));
  CHECK(stream->finish() == FinishReason::kStop);
}

TEST_CASE("engine ends where the context does") {
  Engine engine(tiny_model(), small());
  EngineRequest request = request_of(golden("input_ids")[0], 1000);
  request.context_tokens = 17;  // of 14 prompt tokens
  const auto stream = engine.start(std::move(request));
  CHECK(rest_of(*stream).size() == 3);
  CHECK(stream->finish() == FinishReason::kLength);
}

TEST_CASE("engine refuses prompts that it cannot answer") {
  Engine engine(tiny_model(), small());
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
  Engine engine(tiny_model(), small());
  EngineRequest broken = request_of(golden("input_ids")[0], 6);
  broken.embeddings = at::full_like(broken.embeddings, std::numeric_limits<float>::quiet_NaN());
  const auto bad = engine.start(std::move(broken));
  const auto good = engine.start(request_of(golden("input_ids")[0], 6));
  CHECK_THROWS_WITH(bad->next(), Catch::Contains("expected finite numbers"));
  CHECK(rest_of(*good) == golden_ids());
}

TEST_CASE("engine keeps each answer to its own constraint, and serves others when one throws") {
  /// Allows multiples of `step`, `count` times.
  struct Multiples : TokenConstraint {
    Multiples(int64_t s, int64_t c) : step(s), count(c) {}
    void mask(std::span<float> scores) override {
      check(count-- > 0, ErrorCode::kInternal, "constraint: expected no more tokens");
      for (size_t id = 0; id < scores.size(); ++id) {
        if (static_cast<int64_t>(id) % step != 0) scores[id] = -INFINITY;
      }
    }
    void accept(int64_t) override {}
    int64_t step, count;
  };
  constexpr int64_t kCount = 4;
  const auto request = [](int64_t i) {
    EngineRequest asked = sampled_request(i);
    if (i > 0) asked.constraint = std::make_shared<Multiples>(i + 1, i == 3 ? 2 : 100);
    return asked;
  };
  std::vector<std::vector<int64_t>> alone;
  for (int64_t i = 0; i < 3; ++i) {
    Engine engine(tiny_model(), small());
    alone.push_back(rest_of(*engine.start(request(i))));
    for (const int64_t id : alone.back()) CHECK(id % (i + 1) == 0);
  }
  Engine engine(tiny_model(), small());
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int64_t i = 0; i < kCount; ++i) streams.push_back(engine.start(request(i)));
  CHECK_THROWS_WITH(rest_of(*streams[3]), Catch::Contains("expected no more tokens"));
  for (size_t i = 0; i < 3; ++i) CHECK(rest_of(*streams[i]) == alone[i]);
}

TEST_CASE("engine drops what nobody wants any more and goes on") {
  EngineLimits limits = small();
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
  Engine engine(tiny_model(), small());
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

TEST_CASE("engine takes memory back from what came last, and reads it again") {
  constexpr int64_t kCount = 7;
  const auto growing = [](int64_t i) {
    EngineRequest request = sampled_request(i);
    request.embeddings = request.embeddings.slice(0, 0, 3 + i);
    request.options.max_tokens = 50;
    if (i % 2 == 0) {
      request.row_keys = keys_of(request);
      request.row_keys.resize(static_cast<size_t>(3 + i));
    }
    return request;
  };
  std::vector<std::vector<int64_t>> alone;
  for (int64_t i = 0; i < kCount; ++i) {
    Engine engine(tiny_model(), small());
    alone.push_back(rest_of(*engine.start(growing(i))));
  }
  EngineLimits limits = small();
  limits.kv_tokens = 64;  // each grows to 53 and more
  limits.step_tokens = GENERATE(5, 128);
  Engine engine(tiny_model(), limits);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int64_t i = 0; i < kCount; ++i) streams.push_back(engine.start(growing(i)));
  for (int64_t i = kCount - 1; i >= 0; --i) {
    CHECK(rest_of(*streams[static_cast<size_t>(i)]) == alone[static_cast<size_t>(i)]);
  }
  CHECK(idle(engine).preemptions > 0);
}

TEST_CASE("engine gives all memory back") {
  EngineLimits limits = small();
  limits.cached_tokens = GENERATE(0, 1 << 10);
  Engine engine(tiny_model(), limits);
  for (int64_t i = 0; i < 4; ++i) {
    EngineRequest request = sampled_request(4);
    request.row_keys = keys_of(request);
    const auto stream = engine.start(std::move(request));
    if (i % 2 == 0) stream->next();  // and no further
  }
  const EngineStats stats = idle(engine);
  const int64_t token_bytes = tiny_model()->shape().kv().token_bytes();
  CHECK(stats.cached_tokens == (limits.cached_tokens == 0 ? 0 : 16));
  CHECK(stats.kv_bytes == stats.cached_tokens * token_bytes);
}

TEST_CASE("engine begins where a prompt that began alike ended, with the same bits") {
  const auto answer = [](Engine& engine, int64_t length, int64_t changed) {
    at::Tensor ids = (at::arange(length, at::kLong) * 5) % 60 + 3;
    if (changed >= 0) ids[changed] = 2;
    EngineRequest request = request_of(ids, 6);
    request.row_keys = keys_of(request);
    const auto stream = engine.start(std::move(request));
    const auto tokens = rest_of(*stream);
    return std::pair{tokens, stream->cached_tokens()};
  };
  const auto fresh = [&](int64_t length, int64_t changed) {
    Engine engine(tiny_model(), small());
    return answer(engine, length, changed).first;
  };
  Engine engine(tiny_model(), small());
  CHECK(answer(engine, 40, -1) == std::pair{fresh(40, -1), int64_t{0}});
  CHECK(answer(engine, 40, -1) == std::pair{fresh(40, -1), int64_t{32}});
  CHECK(answer(engine, 50, 45) == std::pair{fresh(50, 45), int64_t{32}});
  CHECK(answer(engine, 50, 45) == std::pair{fresh(50, 45), int64_t{48}});
  CHECK(answer(engine, 50, 20) == std::pair{fresh(50, 20), int64_t{16}});
  CHECK(answer(engine, 50, 0) == std::pair{fresh(50, 0), int64_t{0}});
  CHECK(answer(engine, 32, -1) == std::pair{fresh(32, -1), int64_t{16}});  // one row is read
}

TEST_CASE("engine is not misled by keys that are alike") {
  Engine engine(tiny_model(), small());
  std::vector<std::vector<int64_t>> answers;
  for (const int64_t factor : {5, 7}) {
    EngineRequest request = request_of((at::arange(40, at::kLong) * factor) % 60 + 3, 6);
    request.row_keys.assign(40, 1);
    const auto stream = engine.start(std::move(request));
    answers.push_back(rest_of(*stream));
    CHECK(stream->cached_tokens() == 0);
  }
  CHECK(answers[0] != answers[1]);
}

TEST_CASE("engine refuses what its memory will never hold, and more than may wait") {
  EngineLimits limits = small();
  limits.kv_tokens = 32;
  limits.max_sequences = 1;
  limits.max_waiting = 10000;
  Engine engine(tiny_model(), limits);
  const at::Tensor ids = golden("input_ids")[0];
  CHECK_THROWS_MATCHES(engine.start(request_of(ids, 19)), Error,
                       IsError(ErrorCode::kResourceExhausted, "at most 32 tokens"));
  std::vector<std::unique_ptr<TokenStream>> streams;
  bool refused = false;
  try {
    for (int64_t i = 0; i < 12000; ++i) streams.push_back(engine.start(request_of(ids, 18)));
  } catch (const Error& error) {
    refused = error.code() == ErrorCode::kResourceExhausted;
    CHECK_THAT(error.what(), Catch::Contains("10000 prompts are waiting"));
  }
  CHECK(refused);
  CHECK(rest_of(*streams.front()).size() == 18);
  const auto began = std::chrono::steady_clock::now();
  streams.clear();
  CHECK(idle(engine).running == 0);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
}

TEST_CASE("engine's windows give back what nobody sees any more") {
  const Json plan =
      parse_json(R"({"layers": [{"span": {"kind": "window", "size": 8, "sinks": 2}}]})", "plan");
  const std::shared_ptr<const CausalLm> model =
      make_model(open_checkpoint(data("tests/data/llm/tiny_llama")), parse_plan(plan));
  const auto request = [&](int64_t tokens) {
    EngineRequest asked = request_of(golden("input_ids")[0], tokens);
    asked.context_tokens = 4096;
    return asked;
  };
  Engine engine(model, small());
  const auto stream = engine.start(request(1000));
  int64_t most = 0;
  while (stream->next()) most = std::max(most, engine.stats().kv_bytes);
  CHECK(most <=
        4 * 16 * model->shape().kv().token_bytes());  // sinks, window, and the ends of pages

  // The same text as with all keys in memory and the same mask, step by step.
  EngineLimits limits = small();
  limits.step_tokens = 3;
  Engine whole(model, limits);
  CHECK(rest_of(*engine.start(request(60))) == rest_of(*whole.start(request(60))));
}

TEST_CASE("engine's guesses change no answer, at any temperature and in any company") {
  // A prompt that repeats itself, so that there is something to guess.
  const auto repeating = [](int64_t i) {
    const at::Tensor ids = at::arange(24, at::kLong) % (3 + i) + 3;
    EngineRequest request = request_of(ids, 30);
    request.options.temperature = i % 2 == 0 ? 0 : 0.4;
    request.options.seed = static_cast<uint64_t>(i);
    if (i == 3) request.stop_ids = {5};
    return request;
  };
  std::vector<std::vector<int64_t>> plain;
  for (int64_t i = 0; i < 6; ++i) {
    Engine engine(tiny_model(), small());
    plain.push_back(rest_of(*engine.start(repeating(i))));
  }
  EngineLimits limits = small();
  limits.draft_tokens = GENERATE(1, 3, 8);
  limits.kv_tokens = GENERATE(64, 4096);
  Engine engine(tiny_model(), limits);
  std::vector<std::unique_ptr<TokenStream>> streams;
  for (int64_t i = 0; i < 6; ++i) streams.push_back(engine.start(repeating(i)));
  for (size_t i = 0; i < 6; ++i) CHECK(rest_of(*streams[i]) == plain[i]);
  const EngineStats stats = idle(engine);
  CHECK(stats.drafted_tokens > 0);
  CHECK(stats.accepted_tokens > 0);
  CHECK(stats.accepted_tokens <= stats.drafted_tokens);
  CHECK(stats.kv_bytes == 0);
}

}  // namespace lv::llm
