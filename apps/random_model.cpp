#include "apps/random_model.h"

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"
#include "pipeline/base/json.h"

namespace lv::apps {
namespace {

struct Shape {
  const char* name;
  int64_t layers, width, mlp_width, heads, kv_heads, vocabulary, context;
};

/// Of CLIP's image encoders.
struct EyesShape {
  int64_t layers, width, mlp_width, heads, image_side, patch_side;
};

constexpr Shape kShapes[] = {
    {"llama-2-7b", 32, 4096, 11008, 32, 32, 32000, 131072},
    {"llama-3-8b", 32, 4096, 14336, 32, 8, 128256, 131072},
    {"smollm2-135m", 30, 576, 1536, 9, 3, 49152, 131072},
};
constexpr Shape kTinyLlama = {"", 4, 64, 96, 4, 2, 256, 131072};

/// Models that see: LLaVA's two linear layers join an encoder and a language model.
struct SeeingShape {
  const char* name;
  EyesShape eyes;
  const Shape& language;
};

constexpr SeeingShape kSeeingShapes[] = {
    {"auroracap-7b", {32, 1280, 5120, 16, 378, 14}, kShapes[0]},
    {"tiny-seeing", {3, 32, 64, 2, 56, 14}, kTinyLlama},
};

using TensorShapes = std::map<std::string, std::vector<int64_t>, std::less<>>;

/// Makes each tensor when it is asked for: a large model is never there twice.
class RandomStore : public TensorStore {
 public:
  RandomStore(TensorShapes shapes, at::Device device)
      : shapes_(std::move(shapes)), device_(device) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, shape] : shapes_) all.push_back(name);
    return all;
  }
  bool contains(std::string_view name) const override { return shapes_.contains(name); }
  StoredTensor get(std::string_view name) const override {
    const std::vector<int64_t> sizes = shape(name);
    const auto options = at::device(device_).dtype(at::kBFloat16);
    if (name.ends_with(".bias")) return at::zeros(sizes, options);
    if (sizes.size() == 1) return at::ones(sizes, options);  // of norms
    return at::randn(sizes, options).mul_(0.02);
  }
  std::vector<int64_t> shape(std::string_view name) const override {
    const auto found = shapes_.find(name);
    check(found != shapes_.end(), ErrorCode::kNotFound,
          "random model: no tensor " + std::string(name));
    return found->second;
  }
  ElementType type(std::string_view) const override { return at::kBFloat16; }

 private:
  TensorShapes shapes_;
  at::Device device_;
};

Json of_one(const char* architecture) { return Json::Array{architecture}; }

Json config_of(const Shape& shape) {
  Json config;
  config.set("architectures", of_one("LlamaForCausalLM"));
  config.set("model_type", "llama");
  config.set("num_hidden_layers", shape.layers);
  config.set("hidden_size", shape.width);
  config.set("intermediate_size", shape.mlp_width);
  config.set("num_attention_heads", shape.heads);
  config.set("num_key_value_heads", shape.kv_heads);
  config.set("vocab_size", shape.vocabulary);
  config.set("max_position_embeddings", shape.context);
  config.set("rms_norm_eps", 1e-5);
  config.set("tie_word_embeddings", false);
  return config;
}

Json config_of(const EyesShape& shape) {
  Json config;
  config.set("model_type", "clip_vision_model");
  config.set("num_hidden_layers", shape.layers);
  config.set("hidden_size", shape.width);
  config.set("intermediate_size", shape.mlp_width);
  config.set("num_attention_heads", shape.heads);
  config.set("image_size", shape.image_side);
  config.set("patch_size", shape.patch_side);
  return config;
}

Json config_of(const SeeingShape& shape) {
  const Json half = Json::Array{0.5, 0.5, 0.5};
  Json processor;
  processor.set("image_processor_type", "CLIPImageProcessor");
  processor.set("size", Json::Object{{"shortest_edge", shape.eyes.image_side}});
  processor.set("crop_size",
                Json::Object{{"height", shape.eyes.image_side}, {"width", shape.eyes.image_side}});
  processor.set("image_mean", half);
  processor.set("image_std", half);
  Json config;
  config.set("architectures", of_one("LlavaForConditionalGeneration"));
  config.set("text_config", config_of(shape.language));
  config.set("vision_config", config_of(shape.eyes));
  config.set("image_processor", processor);
  config.set("tie_word_embeddings", false);
  return config;
}

void add_matrix(TensorShapes& shapes, const std::string& name, int64_t out, int64_t in) {
  shapes[name + ".weight"] = {out, in};
  shapes[name + ".bias"] = {out};
}

void add_norm(TensorShapes& shapes, const std::string& name, int64_t width) {
  shapes[name + ".weight"] = shapes[name + ".bias"] = {width};
}

void add_language(TensorShapes& shapes, const std::string& root, const Shape& shape) {
  const int64_t kv_width = shape.width / shape.heads * shape.kv_heads;
  shapes[root + "model.embed_tokens.weight"] = {shape.vocabulary, shape.width};
  shapes[root + "lm_head.weight"] = {shape.vocabulary, shape.width};
  shapes[root + "model.norm.weight"] = {shape.width};
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = root + "model.layers." + std::to_string(i) + ".";
    shapes[layer + "input_layernorm.weight"] = {shape.width};
    shapes[layer + "post_attention_layernorm.weight"] = {shape.width};
    shapes[layer + "self_attn.q_proj.weight"] = {shape.width, shape.width};
    shapes[layer + "self_attn.k_proj.weight"] = {kv_width, shape.width};
    shapes[layer + "self_attn.v_proj.weight"] = {kv_width, shape.width};
    shapes[layer + "self_attn.o_proj.weight"] = {shape.width, shape.width};
    shapes[layer + "mlp.gate_proj.weight"] = {shape.mlp_width, shape.width};
    shapes[layer + "mlp.up_proj.weight"] = {shape.mlp_width, shape.width};
    shapes[layer + "mlp.down_proj.weight"] = {shape.width, shape.mlp_width};
  }
}

void add_eyes(TensorShapes& shapes, const EyesShape& shape, int64_t read_width) {
  const std::string root = "vision_tower.";
  const int64_t side = shape.image_side / shape.patch_side, width = shape.width;
  shapes[root + "embeddings.class_embedding"] = {width};
  shapes[root + "embeddings.patch_embedding.weight"] = {width, 3, shape.patch_side,
                                                        shape.patch_side};
  shapes[root + "embeddings.position_embedding.weight"] = {side * side + 1, width};
  add_norm(shapes, root + "pre_layrnorm", width);
  add_norm(shapes, root + "post_layernorm", width);
  for (int64_t i = 0; i < shape.layers; ++i) {
    const std::string layer = root + "encoder.layers." + std::to_string(i) + ".";
    add_norm(shapes, layer + "layer_norm1", width);
    add_norm(shapes, layer + "layer_norm2", width);
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      add_matrix(shapes, layer + "self_attn." + name, width, width);
    }
    add_matrix(shapes, layer + "mlp.fc1", shape.mlp_width, width);
    add_matrix(shapes, layer + "mlp.fc2", width, shape.mlp_width);
  }
  add_matrix(shapes, "multi_modal_projector.linear_1", read_width, width);
  add_matrix(shapes, "multi_modal_projector.linear_2", read_width, read_width);
}

}  // namespace

std::vector<std::string> random_models(bool seeing) {
  std::vector<std::string> all;
  if (!seeing) {
    for (const Shape& shape : kShapes) all.emplace_back(shape.name);
  }
  for (const SeeingShape& shape : kSeeingShapes) all.emplace_back(shape.name);
  return all;
}

Checkpoint random_model(const std::string& name, const Placement& placement) {
  TensorShapes shapes;
  Json config;
  for (const Shape& shape : kShapes) {
    if (name != shape.name) continue;
    add_language(shapes, "", shape);
    config = config_of(shape);
  }
  for (const SeeingShape& shape : kSeeingShapes) {
    if (name != shape.name) continue;
    add_language(shapes, "language_model.", shape.language);
    add_eyes(shapes, shape.eyes, shape.language.width);
    config = config_of(shape);
  }
  check(!shapes.empty(), ErrorCode::kNotFound,
        "random model: '" + name + "' is not known; there are " + joined_text(random_models()));
  at::manual_seed(1);
  auto store = std::make_shared<const RandomStore>(std::move(shapes), placement.device);
  return Checkpoint("random:" + name, config, std::move(store)).placed(placement);
}

}  // namespace lv::apps
