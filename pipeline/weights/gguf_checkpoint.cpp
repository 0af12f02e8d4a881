#include "pipeline/weights/gguf_checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>

#include "pipeline/base/error.h"
#include "pipeline/weights/gguf.h"

namespace lv {
namespace {

struct Architecture {
  std::string_view name;        // general.architecture
  std::string_view model_type;  // Hugging Face's
  std::string_view model_class;
  bool permuted;  // whether the converter reordered the rows of q and k
};
constexpr std::array<Architecture, 4> kArchitectures{{
    {"llama", "llama", "LlamaForCausalLM", true},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", false},
    {"smollm3", "smollm3", "SmolLM3ForCausalLM", true},
}};

const Architecture& architecture_of(const std::string& path, const Json& metadata) {
  const std::string name = metadata.get("general.architecture", "");
  const auto it = std::ranges::find(kArchitectures, name, &Architecture::name);
  if (it != kArchitectures.end()) return *it;
  std::string known;
  for (const Architecture& one : kArchitectures) {
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  throw Error(ErrorCode::kUnimplemented,
              path + ": architecture '" + name + "' is not read here; there are " + known);
}

struct Renamed {
  std::string_view gguf;
  std::string_view hugging_face;
};
constexpr std::array<Renamed, 3> kOuterNames{{
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
}};
constexpr std::array<Renamed, 11> kLayerNames{{
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
}};

template <size_t N>
std::optional<std::string_view> renamed(const std::array<Renamed, N>& names,
                                        std::string_view gguf) {
  const auto it = std::ranges::find(names, gguf, &Renamed::gguf);
  if (it == names.end()) return std::nullopt;
  return it->hugging_face;
}

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". A name without a counterpart
/// stays as it is, so that whoever builds the model can ask for it or find it left over.
std::string hugging_face_name(const std::string& gguf) {
  const size_t dot = gguf.rfind('.');
  if (dot == std::string::npos) return gguf;
  const std::string_view stem = std::string_view(gguf).substr(0, dot);
  const std::string kind = gguf.substr(dot);  // ".weight" or ".bias"
  if (const auto name = renamed(kOuterNames, stem)) return std::string(*name) + kind;
  if (!stem.starts_with("blk.")) return gguf;
  const size_t layer_end = stem.find('.', 4);
  if (layer_end == std::string_view::npos) return gguf;
  const auto name = renamed(kLayerNames, stem.substr(layer_end + 1));
  if (!name) return gguf;
  return "model.layers." + std::string(stem.substr(4, layer_end - 4)) + "." + std::string(*name) +
         kind;
}

/// For each row of [heads, 2, D / 2] where llama.cpp's converter put it: [heads, D / 2, 2].
at::Tensor original_rows(int64_t rows, int64_t heads) {
  return at::arange(rows, at::kLong).view({heads, -1, 2}).transpose(1, 2).reshape(-1);
}

/// A GGUF file's tensors under Hugging Face names, rows of q and k in Hugging Face's order.
class RenamedStore : public TensorStore {
 public:
  struct Entry {
    std::string stored_name;
    int64_t permuted_heads = 0;  // 0 where rows are in order
  };
  using Index = std::map<std::string, Entry, std::less<>>;

  RenamedStore(std::string path, TensorStorePtr stored, Index index)
      : path_(std::move(path)), stored_(std::move(stored)), index_(std::move(index)) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& [name, entry] : index_) all.push_back(name);
    return all;
  }
  bool contains(std::string_view name) const override { return index_.contains(name); }
  std::vector<int64_t> shape(std::string_view name) const override {
    return stored_->shape(find(name).stored_name);
  }
  ElementType type(std::string_view name) const override {
    return stored_->type(find(name).stored_name);
  }
  StoredTensor get(std::string_view name) const override {
    const Entry& entry = find(name);
    StoredTensor tensor = stored_->get(entry.stored_name);
    if (entry.permuted_heads == 0) return tensor;
    const at::Tensor rows = original_rows(shape_of(tensor)[0], entry.permuted_heads);
    if (auto* matrix = std::get_if<QuantizedMatrix>(&tensor)) {
      matrix->blocks = matrix->blocks.index_select(0, rows);
      return tensor;
    }
    return std::get<at::Tensor>(tensor).index_select(0, rows);
  }

 private:
  const Entry& find(std::string_view name) const {
    const auto it = index_.find(name);
    if (it == index_.end()) {
      throw Error(ErrorCode::kNotFound, path_ + ": no tensor " + std::string(name));
    }
    return it->second;
  }

  std::string path_;
  TensorStorePtr stored_;
  Index index_;
};

/// Reads keys that begin with the architecture's name.
class Keys {
 public:
  Keys(std::string path, const Json& metadata, std::string_view architecture)
      : path_(std::move(path)), metadata_(metadata), prefix_(std::string(architecture) + ".") {}

  const Json* find(const std::string& key) const { return metadata_.find(prefix_ + key); }

  int64_t count(const std::string& key) const {
    const Json* value = find(key);
    check(value != nullptr && value->is_int() && value->as_int() > 0, ErrorCode::kInvalidArgument,
          path_ + ": " + prefix_ + key + ": expected a whole number above 0, got " +
              (value ? value->dump().substr(0, 40) : "none"));
    return value->as_int();
  }
  int64_t count(const std::string& key, int64_t fallback) const {
    return find(key) ? count(key) : fallback;
  }
  double number(const std::string& key, double fallback) const {
    return metadata_.get(prefix_ + key, fallback);
  }
  std::string text(const std::string& key, const char* fallback) const {
    return metadata_.get(prefix_ + key, fallback);
  }

 private:
  std::string path_;
  const Json& metadata_;
  std::string prefix_;
};

/// The double that a person meant who wrote `value` as a float: 1e-05, not 9.99999975e-06.
double as_written(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), static_cast<float>(value)).ptr;
  double written = value;
  std::from_chars(text, end, written);
  return written;
}

void set_rope(const Keys& keys, Json& config) {
  config.set("rope_theta", as_written(keys.number("rope.freq_base", 10000)));
  const std::string type = keys.text("rope.scaling.type", "none");
  if (type == "none") return;
  const double factor = as_written(keys.number("rope.scaling.factor", 1));
  Json scaling;
  scaling.set("rope_type", type);
  scaling.set("factor", factor);
  if (keys.find("rope.scaling.original_context_length")) {
    scaling.set("original_max_position_embeddings",
                keys.count("rope.scaling.original_context_length"));
  }
  if (keys.find("rope.scaling.attn_factor")) {
    const double attention = as_written(keys.number("rope.scaling.attn_factor", 1));
    // For YaRN llama.cpp multiplies its usual factor by this one; Hugging Face replaces it.
    const bool yarn = type == "yarn" && factor > 1;
    scaling.set("attention_factor", yarn ? attention * (1 + 0.1 * std::log(factor)) : attention);
  }
  config.set("rope_scaling", std::move(scaling));
}

void set_token(const Json& metadata, const char* gguf, const char* key, Json& config) {
  const Json* id = metadata.find(std::string("tokenizer.ggml.") + gguf);
  if (id != nullptr && id->is_int()) config.set(key, *id);
}

Json hugging_face_config(const std::string& path, const GgufFile& file,
                         const Architecture& architecture) {
  const Keys keys(path, file.metadata, architecture.name);
  const int64_t heads = keys.count("attention.head_count");
  const int64_t width = keys.count("embedding_length");
  Json config;
  config.set("architectures", Json::Array{Json(architecture.model_class)});
  config.set("model_type", architecture.model_type);
  config.set("hidden_size", width);
  config.set("num_hidden_layers", keys.count("block_count"));
  config.set("num_attention_heads", heads);
  config.set("num_key_value_heads", keys.count("attention.head_count_kv", heads));
  config.set("head_dim", keys.count("attention.key_length", width / heads));
  config.set("intermediate_size", keys.count("feed_forward_length"));
  config.set("hidden_act", "silu");
  config.set("rms_norm_eps", as_written(keys.number("attention.layer_norm_rms_epsilon", 1e-5)));
  config.set("max_position_embeddings", keys.count("context_length"));
  check(file.tensors->contains("token_embd.weight"), ErrorCode::kInvalidArgument,
        path + ": expected a tensor token_embd.weight, got none");
  config.set("vocab_size", file.tensors->shape("token_embd.weight").front());
  config.set("tie_word_embeddings", !file.tensors->contains("output.weight"));
  config.set("attention_bias", file.tensors->contains("blk.0.attn_q.bias"));
  config.set("mlp_bias", file.tensors->contains("blk.0.ffn_gate.bias"));
  if (keys.find("attention.sliding_window")) {
    config.set("sliding_window", keys.count("attention.sliding_window"));
  }
  if (architecture.name == "smollm3") config.set("no_rope_layer_interval", 4);
  set_rope(keys, config);
  set_token(file.metadata, "bos_token_id", "bos_token_id", config);
  set_token(file.metadata, "eos_token_id", "eos_token_id", config);
  set_token(file.metadata, "padding_token_id", "pad_token_id", config);
  return config;
}

/// The heads whose rows the converter reordered in this tensor, 0 if it did not.
int64_t permuted_heads(const std::string& name, const Json& config) {
  const auto of_layer = [&](std::string_view stem) {
    return name.starts_with("blk.") && (name.ends_with(std::string(stem) + ".weight") ||
                                        name.ends_with(std::string(stem) + ".bias"));
  };
  if (of_layer(".attn_q")) return config.at("num_attention_heads").as_int();
  if (of_layer(".attn_k")) return config.at("num_key_value_heads").as_int();
  return 0;
}

}  // namespace

Checkpoint gguf_checkpoint(const std::string& path) {
  GgufFile file = open_gguf(path);
  const Architecture& architecture = architecture_of(path, file.metadata);
  Json config = hugging_face_config(path, file, architecture);
  RenamedStore::Index index;
  for (const std::string& name : file.tensors->names()) {
    RenamedStore::Entry entry{name, architecture.permuted ? permuted_heads(name, config) : 0};
    if (entry.permuted_heads > 0) {
      const std::vector<int64_t> shape = file.tensors->shape(name);
      check(!shape.empty() && shape[0] % (2 * entry.permuted_heads) == 0,
            ErrorCode::kInvalidArgument,
            path + ": " + name + ": expected rows for " + std::to_string(entry.permuted_heads) +
                " heads of even size");
    }
    const std::string renamed_to = hugging_face_name(name);
    check(index.emplace(renamed_to, std::move(entry)).second, ErrorCode::kInvalidArgument,
          path + ": two tensors are called " + renamed_to);
  }
  auto tensors = std::make_shared<RenamedStore>(path, std::move(file.tensors), std::move(index));
  return Checkpoint(path, std::move(config), std::move(tensors), std::move(file.metadata));
}

}  // namespace lv
