#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/models/models.h"
#include "llm/plan/layer_plan.h"
#include "tests/llm/engine/drain.h"
#include "tests/support/close_to.h"

// Plans that change what is remembered, through the engine.

namespace lv::llm {
namespace {

const std::vector<const char*> kPlans{
    R"({"retain": {"kind": "prefixkv", "keep": 0.5, "start": 2, "window": 12}})",
    R"({"layers": [{"span": {"kind": "window", "size": 40, "sinks": 2}}]})",
    R"({"select": {"kind": "masformer", "full": [1], "window": 24}})",
    R"({"layers": [{"span": {"kind": "per_head", "alpha": [0, 64, 0, 64], "beta": [1, 0, 0.6, 0]}}]})",
    R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 8}}]})",
    R"({"layers": [{}, {"kv": {"format": "kivi", "group": 8, "residual": 0}}],
        "retain": {"kind": "prefixkv", "keep": 0.7, "window": 12}})",
};
const std::vector<const char*> kPlansOfNothing{
    R"({"retain": {"kind": "prefixkv", "keep": 1}})",
    R"({"layers": [{"span": {"kind": "window", "size": 1000}}]})",
    R"({"layers": [{"kv": {"format": "kivi", "group": 8, "residual": 200}}]})",
};

std::shared_ptr<const CausalLm> model_of(const char* plan) {
  return make_model(open_checkpoint(data("tests/data/llm/tiny_llama")),
                    parse_plan(parse_json(plan, "plan")));
}

/// A prompt of its own for each `i`; every other one begins like the others before it.
EngineRequest request_of(const CausalLm& model, int64_t i) {
  at::Tensor ids = (at::arange(20 + 18 * i, at::kLong) * 7) % 60 + 3;
  if (i % 2 == 1) ids = (ids + i) % 64;
  EngineRequest request;
  request.embeddings = model.embed(ids);
  const auto* first = ids.const_data_ptr<int64_t>();
  request.prompt_ids.assign(first, first + ids.numel());
  request.row_keys.assign(request.prompt_ids.begin(), request.prompt_ids.end());
  request.options.max_tokens = 30;
  request.context_tokens = 1024;
  return request;
}

constexpr int64_t kCount = 6;
using Answers = std::vector<std::vector<int64_t>>;

Answers alone(const char* plan) {
  const auto model = model_of(plan);
  Answers answers;
  for (int64_t i = 0; i < kCount; ++i) {
    Engine engine(model, small());
    answers.push_back(rest_of(*engine.start(request_of(*model, i))));
  }
  return answers;
}

/// Everybody at once, and then again, when prompts are known. Gives how often one was pre-empted.
int64_t check_company(const std::shared_ptr<const CausalLm>& model, const EngineLimits& limits,
                      const Answers& expected) {
  Engine engine(model, limits);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<TokenStream>> streams;
    for (int64_t i = 0; i < kCount; ++i) streams.push_back(engine.start(request_of(*model, i)));
    for (int64_t i = kCount - 1; i >= 0; --i) {
      CHECK(rest_of(*streams[static_cast<size_t>(i)]) == expected[static_cast<size_t>(i)]);
    }
  }
  const EngineStats stats = idle(engine);
  CHECK(stats.kv_bytes <= stats.cached_tokens * model->shape().kv().token_bytes());
  return stats.preemptions;
}

}  // namespace

TEST_CASE("engine's text is the dense model's under plans set to change nothing") {
  for (const char* plan : kPlansOfNothing) {
    CAPTURE(plan);
    CHECK(alone(plan) == alone("{}"));
  }
}

TEST_CASE("engine's text under a plan depends on nothing else that runs") {
  for (const char* plan : kPlans) {
    const Answers expected = alone(plan);
    const auto model = model_of(plan);
    int64_t preemptions = 0;
    for (const int64_t step_tokens : {5, 128}) {
      CAPTURE(plan, step_tokens);
      EngineLimits limits = small();
      limits.step_tokens = step_tokens;
      CHECK(check_company(model, limits, expected) == 0);
      limits.kv_tokens = 144;  // holds the longest text and little more
      preemptions += check_company(model, limits, expected);
    }
    const bool coded = model->shape().kivi.has_value();  // then all of them may fit
    CHECK((coded || preemptions > 0));
  }
}

TEST_CASE("engine begins a plan's prompt where one that began alike ended") {
  for (const char* plan : kPlans) {
    CAPTURE(plan);
    const auto model = model_of(plan);
    Engine engine(model, small());
    const auto first = engine.start(request_of(*model, 4));  // 92 rows
    const auto text = rest_of(*first);
    const auto again = engine.start(request_of(*model, 4));
    CHECK(rest_of(*again) == text);
    const int64_t own = std::max<int64_t>(1, model->shape().tapped_rows);
    // Keys that depend on how long a text will be begin no other.
    const int64_t known = model->shape().depends_on_length ? 0 : (92 - own) / 16 * 16;
    CHECK(again->cached_tokens() == known);
  }
}

}  // namespace lv::llm
