#include "llm/plan/layer_plan.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

LayerPlan plan_of(const char* text) { return parse_plan(parse_json(text, "plan")); }

KeySpan only_span(const LayerChoice& choice) {
  REQUIRE(choice.spans.size() == 1);
  return std::get<KeySpan>(choice.spans[0]);
}

}  // namespace

TEST_CASE("plan that says nothing leaves every layer as the checkpoint has it") {
  const LayerPlan plan = plan_of("{}");
  CHECK(choice_for(plan, 3, 30).spans.empty());
  const Json config = parse_json(R"({"rope_theta": 5.0})", "config");
  CHECK(planned_config(plan, config) == config);
}

TEST_CASE("plan of one layer goes for all, of several for each") {
  const LayerPlan one =
      plan_of(R"({"layers": [{"span": {"kind": "window", "size": 7, "sinks": 4}}]})");
  CHECK(only_span(choice_for(one, 29, 30)).window == 7);
  CHECK(only_span(choice_for(one, 29, 30)).sinks == 4);
  const LayerPlan two = plan_of(
      R"({"layers": [{"mixer": "attention", "span": {"kind": "full"}, "kv": {"format": "dense"}},
                     {"mixer": "attn"}]})");
  CHECK(only_span(choice_for(two, 0, 2)).all());
  CHECK(choice_for(two, 1, 2).spans.empty());
  CHECK_THROWS_WITH(choice_for(two, 0, 3), Catch::Contains("expected 1 or 3 layers, got 2"));
}

TEST_CASE("plan of masformer keeps all keys in some layers") {
  const LayerPlan plan =
      plan_of(R"({"select": {"kind": "masformer", "full": [0, 3], "window": 9}})");
  // What a token reads in four layers of 100 tokens: 2 of all keys, 2 of a window.
  int64_t read = 0;
  for (int64_t layer = 0; layer < 4; ++layer) {
    const KeySpan span = only_span(choice_for(plan, layer, 4));
    read += span.seen({99, 100}).front().size();
  }
  CHECK(read == 2 * 100 + 2 * 9);
  CHECK_THROWS_WITH(choice_for(plan, 0, 3), Catch::Contains("expected layers from 0 to 2, got 3"));
}

TEST_CASE("plan of moa has a span for each head, and one for heads that share keys") {
  const LayerPlan plan = plan_of(R"({"select": {"kind": "moa", "sinks": 8,
      "alphas": [[0, 128, 64, 64]], "betas": [[1, 0, 0.25, 0.5]]}})");
  const auto window = [&](int64_t kv_heads, size_t head, int64_t length) {
    return span_at(spans_by_key_head(choice_for(plan, 0, 1), 4, kv_heads).at(head), length).window;
  };
  CHECK(window(4, 0, 1024) == 0);  // all
  CHECK(window(4, 1, 1024) == 128);
  CHECK(window(4, 2, 1024) == 64 + 256);
  CHECK(window(4, 3, 2048) == 64 + 1024);
  CHECK(window(2, 1, 1024) == 64 + 512);  // the widest of two
  CHECK_THROWS_WITH(spans_by_key_head(choice_for(plan, 0, 1), 8, 2),
                    Catch::Contains("a span for each of 8 heads or 2 heads of keys, got 4"));
}

TEST_CASE("plan's rope replaces the checkpoint's and keeps its theta") {
  const LayerPlan plan = plan_of(
      R"({"rope": {"kind": "yarn", "factor": 4, "orig": 32768, "beta_fast": 16}, "context": 99})");
  const Json config =
      planned_config(plan, parse_json(R"({"rope_scaling": {"type": "linear", "factor": 2},
                           "rope_parameters": {"rope_theta": 5.0, "rope_type": "default"}})",
                                      "config"));
  CHECK(plan.context_tokens == 99);
  CHECK(config.at("rope_scaling").is_null());
  const Json& rope = config.at("rope_parameters");
  CHECK(rope.at("rope_type").as_string() == "yarn");
  CHECK(rope.at("rope_theta").as_double() == 5.0);
  CHECK(rope.at("original_max_position_embeddings").as_int() == 32768);
  CHECK(rope.at("beta_fast").as_int() == 16);
}

TEST_CASE("plan names what it does not know") {
  const auto refuses = [](const char* text, const char* named) {
    CHECK_THROWS_WITH(plan_of(text), Catch::Contains(named));
  };
  refuses("[]", "expected an object");
  refuses(R"({"retained": {}})", "plan: 'retained' is not known");
  refuses(R"({"retain": {"kind": "prefixkv", "keep": 2}})", "plan.retain.keep");
  refuses(R"({"layers": [{"mixer": "mamba"}]})", "plan.layers[0].mixer: 'mamba' is not known");
  refuses(R"({"layers": [{}, {"span": {"kind": "sparse"}}]})", "plan.layers[1].span.kind");
  refuses(R"({"layers": [{"span": {"kind": "per_head", "alpha": [1], "beta": [1, 1]}}]})",
          "an alpha and a beta");
  refuses(R"({"layers": [{"span": {"kind": "per_head", "alpha": [1], "beta": [2]}}]})",
          "betas from 0 to 1");
  refuses(R"({"layers": [{"span": {"kind": "full", "size": 3}}]})", "'size' is not known");
  refuses(R"({"layers": [{}], "select": {"kind": "masformer", "full": [], "window": 1}})",
          "layers or select, got both");
  refuses(R"({"select": {"kind": "moa", "alphas": [[1]], "betas": []}})", "a row of alphas");
  refuses(R"({"layers": [{"span": {"kind": "window"}}]})", "size");
  refuses(R"({"layers": [{"span": {"kind": "window", "size": 0}}]})", "at least 1");
  refuses(R"({"layers": [{"kv": {"format": "int4_kivi"}}]})", "'int4_kivi' is not known");
  refuses(R"({"layers": [{"kv": {"fmt": "dense"}}]})", "'fmt' is not known");
  refuses(R"({"layers": [{"kv": {"bits": 4}}]})", "'bits' is not known");
  refuses(R"({"layers": [{"kv": {"format": "kivi", "bits": 3}}]})", "kv.bits: expected 4 or 2");
  refuses(R"({"layers": [{"kv": {"format": "kivi", "group": 24}}]})", "kv.group: expected 8, 16");
  refuses(R"({"layers": [{"kv": {"format": "kivi", "residual": -1}}]})", "residual: expected 0");
  refuses(R"({"context": 0})", "plan.context");
  refuses(R"({"rope": {"factor": 2}})", "expected a kind");
}

}  // namespace lv::llm
