#include "pipeline/weights/leopard_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lv {
namespace {

constexpr std::string_view kArchitecture = "LeopardLlavaForConditionalGeneration";
constexpr std::string_view kVision =
    R"({"model_type": "siglip_vision_model", "num_attention_heads": 16,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})";
constexpr std::string_view kText =
    R"({"model_type": "llama", "num_attention_heads": 32, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 131072, "rope_theta": 500000.0,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})";

using Shape = std::vector<int64_t>;

/// The shape of the tensor whose name holds `part` and ends in `end`; empty if there is none.
Shape shape_of(const TensorStore& tensors, std::string_view part, std::string_view end) {
  for (const std::string& name : tensors.names()) {
    if (name.find(part) != std::string::npos && name.ends_with(end)) return tensors.shape(name);
  }
  return {};
}

int64_t count_of(const TensorStore& tensors, std::string_view part, std::string_view end) {
  return std::ranges::count_if(tensors.names(), [&](const std::string& name) {
    return name.find(part) != std::string::npos && name.ends_with(end);
  });
}

void set_missing(Json& config, std::string_view key, int64_t value) {
  const Json* given = config.find(key);
  if (value > 0 && (given == nullptr || given->is_null())) config.set(key, value);
}

/// What the configuration says of a part, or all that is known of it without.
Json part_of(const Json& config, const char* key, std::string_view otherwise) {
  const Json* own = config.find(key);
  return own != nullptr && own->is_object() ? *own : parse_json(otherwise, key);
}

int64_t at(const Shape& shape, size_t axis) { return axis < shape.size() ? shape[axis] : 0; }

Json vision_config(const Json& config, const TensorStore& tensors) {
  Json own = part_of(config, "vision_config", kVision);
  const std::string_view tower = "vision_tower.";
  const Shape patches = shape_of(tensors, tower, "patch_embedding.weight");
  const int64_t positions = at(shape_of(tensors, tower, "position_embedding.weight"), 0);
  const auto side = std::llround(std::sqrt(static_cast<double>(positions)));
  set_missing(own, "hidden_size", at(patches, 0));
  set_missing(own, "patch_size", at(patches, 3));
  set_missing(own, "image_size", side * at(patches, 3));
  set_missing(own, "intermediate_size", at(shape_of(tensors, tower, "layers.0.mlp.fc1.weight"), 0));
  set_missing(own, "num_hidden_layers", count_of(tensors, tower, "layer_norm1.weight"));
  return own;
}

Json text_config(const Json& config, const TensorStore& tensors) {
  Json own = part_of(config, "text_config", kText);
  const std::string_view model = "language_model.";
  const Shape words = shape_of(tensors, model, "embed_tokens.weight");
  set_missing(own, "vocab_size", at(words, 0));
  set_missing(own, "hidden_size", at(words, 1));
  set_missing(own, "intermediate_size",
              at(shape_of(tensors, model, "layers.0.mlp.gate_proj.weight"), 0));
  set_missing(own, "num_hidden_layers", count_of(tensors, model, "input_layernorm.weight"));
  const int64_t queries = at(shape_of(tensors, model, "layers.0.self_attn.q_proj.weight"), 0);
  const int64_t keys = at(shape_of(tensors, model, "layers.0.self_attn.k_proj.weight"), 0);
  const int64_t heads = own.get("num_attention_heads", 32);
  const int64_t head = heads > 0 ? queries / heads : 0;
  if (head > 0) set_missing(own, "num_key_value_heads", keys / head);
  return own;
}

/// Whether the connector's first layer reads squares of the encoder's features.
bool reads_squares(const Json& config, const TensorStore& tensors) {
  const Json* layers = config.find("vision_feature_layer");
  if (layers != nullptr && layers->is_array()) return false;  // of several layers side by side
  const int64_t read = at(shape_of(tensors, "multi_modal_projector.", "linear_1.weight"), 1);
  const int64_t width = at(shape_of(tensors, "vision_tower.", "patch_embedding.weight"), 0);
  return width > 0 && read == 4 * width;
}

}  // namespace

Json with_leopard_keys(Json config, const TensorStore& tensors) {
  const Json* named = config.find("architectures");
  const std::string architecture = named != nullptr && named->is_array() &&
                                           !named->as_array().empty() &&
                                           named->as_array().front().is_string()
                                       ? named->as_array().front().as_string()
                                       : "";
  const bool llava = architecture.empty() || architecture == "LlavaForConditionalGeneration" ||
                     architecture == "myLlavaForConditionalGeneration";
  if (architecture != kArchitecture && (!llava || !reads_squares(config, tensors))) return config;
  config.set("architectures", Json::Array{Json(kArchitecture)});
  config.set("vision_config", vision_config(config, tensors));
  config.set("text_config", text_config(config, tensors));
  config.set("vision_feature_layer", nullptr);
  config.set("vision_feature_select_strategy", "full");
  return config;
}

}  // namespace lv
