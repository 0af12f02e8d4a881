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

constexpr Shape kShapes[] = {
    {"llama-2-7b", 32, 4096, 11008, 32, 32, 32000, 131072},
    {"llama-3-8b", 32, 4096, 14336, 32, 8, 128256, 131072},
    {"smollm2-135m", 30, 576, 1536, 9, 3, 49152, 131072},
};

/// Makes each tensor when it is asked for: a large model is never there twice.
class RandomStore : public TensorStore {
 public:
  RandomStore(std::map<std::string, std::vector<int64_t>, std::less<>> shapes, at::Device device)
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
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes_;
  at::Device device_;
};

Json config_of(const Shape& shape) {
  Json config;
  Json architectures = Json::Array();
  architectures.push_back("LlamaForCausalLM");
  config.set("architectures", architectures);
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

}  // namespace

const std::vector<std::string>& random_models() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Shape& shape : kShapes) all.emplace_back(shape.name);
    return all;
  }();
  return names;
}

Checkpoint random_model(const std::string& name, const Placement& placement) {
  const Shape* shape = nullptr;
  for (const Shape& candidate : kShapes) {
    if (name == candidate.name) shape = &candidate;
  }
  check(shape != nullptr, ErrorCode::kNotFound,
        "random model: '" + name + "' is not known; there are " +
            joined_text(kShapes, ", ", &Shape::name));
  const int64_t kv_width = shape->width / shape->heads * shape->kv_heads;
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes;
  shapes["model.embed_tokens.weight"] = {shape->vocabulary, shape->width};
  shapes["lm_head.weight"] = {shape->vocabulary, shape->width};
  shapes["model.norm.weight"] = {shape->width};
  for (int64_t i = 0; i < shape->layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    shapes[layer + "input_layernorm.weight"] = {shape->width};
    shapes[layer + "post_attention_layernorm.weight"] = {shape->width};
    shapes[layer + "self_attn.q_proj.weight"] = {shape->width, shape->width};
    shapes[layer + "self_attn.k_proj.weight"] = {kv_width, shape->width};
    shapes[layer + "self_attn.v_proj.weight"] = {kv_width, shape->width};
    shapes[layer + "self_attn.o_proj.weight"] = {shape->width, shape->width};
    shapes[layer + "mlp.gate_proj.weight"] = {shape->mlp_width, shape->width};
    shapes[layer + "mlp.up_proj.weight"] = {shape->mlp_width, shape->width};
    shapes[layer + "mlp.down_proj.weight"] = {shape->width, shape->mlp_width};
  }
  at::manual_seed(1);
  auto store = std::make_shared<const RandomStore>(std::move(shapes), placement.device);
  return Checkpoint("random:" + name, config_of(*shape), std::move(store)).placed(placement);
}

}  // namespace lv::apps
