#include "pipeline/weights/model_parts.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

Checkpoint whole(const std::string& config, const std::vector<std::string>& names) {
  NamedTensors tensors;
  for (size_t i = 0; i < names.size(); ++i) {
    tensors.emplace(names[i], at::full({2}, static_cast<double>(i)));
  }
  return checkpoint_of(config, std::move(tensors));
}

const char* const kLlava = R"({
  "architectures": ["LlavaForConditionalGeneration"], "dtype": "float16",
  "vision_feature_layer": -3, "text_config": {"model_type": "llama", "vocab_size": 11},
  "vision_config": {"model_type": "clip_vision_model", "hidden_size": 8}})";

double value(const Checkpoint& part, const char* name) {
  return part.root().get(name, {2})[0].item<double>();
}

}  // namespace

TEST_CASE("the parts of a model that sees have the names they have alone, in either layout") {
  const auto names = GENERATE(
      std::vector<std::string>{"language_model.model.norm.weight", "language_model.lm_head.weight",
                               "vision_tower.vision_model.a",
                               "multi_modal_projector.linear_1.bias"},
      std::vector<std::string>{"model.language_model.norm.weight", "lm_head.weight",
                               "model.vision_tower.vision_model.a",
                               "model.multi_modal_projector.linear_1.bias"});
  const Checkpoint model = whole(kLlava, names);
  REQUIRE(has_vision(model));
  const Checkpoint text = text_part(model);
  CHECK(text.architecture() == "LlamaForCausalLM");
  CHECK(value(text, "model.norm.weight") == 0);
  CHECK_THROWS_MATCHES(text.finish(), Error,
                       IsError(ErrorCode::kInvalidArgument, "does not know: lm_head.weight"));
  CHECK(value(text, "lm_head.weight") == 1);
  CHECK_NOTHROW(text.finish());
  CHECK(value(vision_part(model), "vision_model.a") == 2);
  CHECK(value(connector_part(model), "linear_1.bias") == 3);
}

TEST_CASE("a part's configuration is its own, then the whole's, then its family's") {
  const Checkpoint model = whole(kLlava, {});
  const Json text = text_part(model).config();
  CHECK(text.at("vocab_size").as_int() == 11);
  CHECK(text.at("hidden_size").as_int() == 4096);
  CHECK(text.at("dtype").as_string() == "float16");
  const Checkpoint vision = vision_part(model);
  CHECK(vision.architecture() == "CLIPVisionModel");
  CHECK(vision.config().at("hidden_size").as_int() == 8);
  CHECK(vision.config().at("patch_size").as_int() == 32);
  CHECK(vision.config().at("vision_feature_layer").as_int() == -3);
}

TEST_CASE("a flat configuration is that of its language model") {
  const Checkpoint model = whole(R"({
    "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl",
    "hidden_size": 24, "tie_word_embeddings": true,
    "vision_config": {"model_type": "qwen2_5_vl", "depth": 3}})",
                                 {"visual.blocks.0.a", "model.layers.0.b"});
  CHECK(text_part(model).config().at("hidden_size").as_int() == 24);
  CHECK(value(text_part(model), "model.layers.0.b") == 1);
  CHECK(vision_part(model).config().at("depth").as_int() == 3);
  CHECK(value(vision_part(model), "blocks.0.a") == 0);
}

TEST_CASE("a tensor of no part, and one in two layouts, are errors") {
  CHECK_THROWS_MATCHES(text_part(whole(kLlava, {"lm_head.weight", "adapter.x"})), Error,
                       IsError(ErrorCode::kInvalidArgument, "does not know: adapter.x"));
  CHECK_THROWS_MATCHES(
      text_part(whole(kLlava, {"lm_head.weight", "language_model.lm_head.weight"})), Error,
      IsError(ErrorCode::kInvalidArgument, "lm_head.weight: expected one tensor, got it in two"));
}

TEST_CASE("a language model alone is its own text part") {
  const Checkpoint model = whole(R"({"architectures": ["LlamaForCausalLM"]})", {"lm_head.weight"});
  CHECK_FALSE(has_vision(model));
  CHECK(value(text_part(model), "lm_head.weight") == 0);
  CHECK_NOTHROW(model.finish());
  CHECK_THROWS_MATCHES(vision_part(model), Error,
                       IsError(ErrorCode::kNotFound, "LlamaForCausalLM has no part that sees"));
}

TEST_CASE("a family that is not read is named") {
  const char* config = R"({"architectures": ["LlavaForConditionalGeneration"],
    "text_config": {"model_type": "gpt9"}, "vision_config": {}})";
  CHECK_THROWS_MATCHES(
      text_part(whole(config, {})), Error,
      IsError(ErrorCode::kUnimplemented, "text_config: model_type 'gpt9' is not read here"));
}

}  // namespace lv
