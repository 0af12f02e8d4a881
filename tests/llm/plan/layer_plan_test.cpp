#include "llm/plan/layer_plan.h"

#include <catch2/catch.hpp>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

LayerPlan plan_of(const char* text) { return parse_plan(parse_json(text, "plan")); }

}  // namespace

TEST_CASE("plan that says nothing leaves every layer as the checkpoint has it") {
  const LayerPlan plan = plan_of("{}");
  CHECK(choice_for(plan, 3, 30).span == Span::kCheckpoint);
  const Json config = parse_json(R"({"rope_theta": 5.0})", "config");
  CHECK(planned_config(plan, config) == config);
}

TEST_CASE("plan of one layer goes for all, of several for each") {
  const LayerPlan one = plan_of(R"({"layers": [{"span": {"kind": "window", "size": 7}}]})");
  CHECK(choice_for(one, 29, 30).span == Span::kWindow);
  CHECK(choice_for(one, 29, 30).window == 7);
  const LayerPlan two = plan_of(
      R"({"layers": [{"mixer": "attention", "span": {"kind": "full"}, "kv": {"format": "dense"}},
                     {"mixer": "attn"}]})");
  CHECK(choice_for(two, 0, 2).span == Span::kFull);
  CHECK(choice_for(two, 1, 2).span == Span::kCheckpoint);
  CHECK_THROWS_WITH(choice_for(two, 0, 3), Catch::Contains("expected 1 or 3 layers, got 2"));
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
  refuses(R"({"retain": {}})", "plan: 'retain' is not known");
  refuses(R"({"layers": [{"mixer": "mamba"}]})", "plan.layers[0].mixer: 'mamba' is not known");
  refuses(R"({"layers": [{}, {"span": {"kind": "per_head"}}]})", "plan.layers[1].span.kind");
  refuses(R"({"layers": [{"span": {"kind": "window"}}]})", "size");
  refuses(R"({"layers": [{"span": {"kind": "window", "size": 0}}]})", "at least 1");
  refuses(R"({"layers": [{"kv": {"format": "int4_kivi"}}]})", "'int4_kivi' is not known");
  refuses(R"({"layers": [{"kv": {"fmt": "dense"}}]})", "'fmt' is not known");
  refuses(R"({"context": 0})", "plan.context");
  refuses(R"({"rope": {"factor": 2}})", "expected a kind");
}

}  // namespace lv::llm
