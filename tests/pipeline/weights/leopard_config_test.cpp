#include "pipeline/weights/leopard_config.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/weights/model_parts.h"
#include "tests/support/close_to.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

/// Shapes of a checkpoint of LEOPARD's, of two layers each.
NamedTensors leopard_tensors() {
  NamedTensors all = {{"vision_tower.vision_model.embeddings.patch_embedding.weight", {}},
                      {"vision_tower.vision_model.embeddings.position_embedding.weight", {}}};
  all["vision_tower.vision_model.embeddings.patch_embedding.weight"] = at::zeros({32, 3, 14, 14});
  all["vision_tower.vision_model.embeddings.position_embedding.weight"] = at::zeros({676, 32});
  all["language_model.model.embed_tokens.weight"] = at::zeros({99, 64});
  all["multi_modal_projector.linear_1.weight"] = at::zeros({64, 128});
  for (const std::string i : {"0.", "1."}) {
    const std::string vision = "vision_tower.vision_model.encoder.layers." + i,
                      text = "language_model.model.layers." + i;
    all[vision + "layer_norm1.weight"] = at::zeros({32});
    all[vision + "mlp.fc1.weight"] = at::zeros({48, 32});
    all[text + "input_layernorm.weight"] = at::zeros({64});
    all[text + "mlp.gate_proj.weight"] = at::zeros({80, 64});
    all[text + "self_attn.q_proj.weight"] = at::zeros({64, 64});
    all[text + "self_attn.k_proj.weight"] = at::zeros({16, 64});
  }
  return all;
}

Json with_keys(const std::string& config, const NamedTensors& tensors = leopard_tensors()) {
  return with_leopard_keys(parse_json(config, "config"), MemoryStore(tensors));
}

std::string architecture(const Json& config) {
  return config.at("architectures").as_array().front().as_string();
}

}  // namespace

TEST_CASE("LEOPARD's checkpoints are told by their connector, whatever they are called") {
  const std::string name = GENERATE(std::string("LlavaForConditionalGeneration"),
                                    std::string("myLlavaForConditionalGeneration"));
  CHECK(architecture(with_keys(R"({"architectures": [")" + name + R"("]})")) ==
        "LeopardLlavaForConditionalGeneration");
  CHECK(architecture(with_keys("{}")) == "LeopardLlavaForConditionalGeneration");
}

TEST_CASE("what LEOPARD's configuration leaves out is told by its tensors") {
  const Json config = with_keys("{}");
  const Json& vision = config.at("vision_config");
  CHECK(vision.at("hidden_size").as_int() == 32);
  CHECK(vision.at("patch_size").as_int() == 14);
  CHECK(vision.at("image_size").as_int() == 364);
  CHECK(vision.at("intermediate_size").as_int() == 48);
  CHECK(vision.at("num_hidden_layers").as_int() == 2);
  CHECK(vision.at("num_attention_heads").as_int() == 16);
  const Json& text = config.at("text_config");
  CHECK(text.at("vocab_size").as_int() == 99);
  CHECK(text.at("hidden_size").as_int() == 64);
  CHECK(text.at("intermediate_size").as_int() == 80);
  CHECK(text.at("num_hidden_layers").as_int() == 2);
  CHECK(text.at("num_key_value_heads").as_int() == 8);
  CHECK(text.at("rope_theta").as_double() == 500000);
}

TEST_CASE("what LEOPARD's configuration says stays, but not which layer is read") {
  const Json config = with_keys(
      R"({"architectures": ["LlavaForConditionalGeneration"], "vision_feature_layer": -2,
          "vision_feature_select_strategy": "default", "tile_budget": 9,
          "text_config": {"num_hidden_layers": 1, "num_attention_heads": 4}})");
  CHECK(config.at("vision_feature_layer").is_null());
  CHECK(config.at("vision_feature_select_strategy").as_string() == "full");
  CHECK(config.at("tile_budget").as_int() == 9);
  const Json& text = config.at("text_config");
  CHECK(text.at("num_hidden_layers").as_int() == 1);
  CHECK(text.at("num_key_value_heads").as_int() == 1);
  CHECK(text.find("rope_theta") == nullptr);
}

TEST_CASE("LEOPARD's heads are told only by a number of them that is possible") {
  const char* heads = GENERATE("0", "-8", "9223372036854775807");
  const Json config =
      with_keys(std::string(R"({"text_config": {"num_attention_heads": )") + heads + "}}");
  CHECK(config.at("text_config").find("num_key_value_heads") == nullptr);
}

TEST_CASE("configurations of other models stay as they are") {
  NamedTensors plain = leopard_tensors();
  plain["multi_modal_projector.linear_1.weight"] = at::zeros({64, 32});
  const char* const llava = R"({"architectures": ["LlavaForConditionalGeneration"]})";
  CHECK(with_keys(llava, plain).dump() == parse_json(llava, "").dump());
  // Four layers side by side are as wide as a square of four places.
  const char* const layers = R"({"architectures": ["LlavaForConditionalGeneration"],
                                 "vision_feature_layer": [-2, -1, 0, 1]})";
  CHECK(with_keys(layers).dump() == parse_json(layers, "").dump());
  const char* const other = R"({"architectures": ["LlamaForCausalLM"]})";
  CHECK(with_keys(other).dump() == parse_json(other, "").dump());
}

}  // namespace lv
