#include "pipeline/weights/gguf_language_model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"
#include "pipeline/weights/gguf.h"
#include "pipeline/weights/gguf_keys.h"

namespace lv {
namespace {

using Entry = ConvertedStore::Entry;

constexpr std::array<GgufName, 3> kOuterNames{{
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
}};
constexpr std::array<GgufName, 11> kLayerNames{{
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
constexpr GgufNames kAttentionNames{kOuterNames, kLayerNames, "blk.", "model.layers."};

constexpr std::array<GgufName, 3> kMambaOuterNames{{
    {"token_embd", "backbone.embeddings"},
    {"output_norm", "backbone.norm_f"},
    {"output", "lm_head"},
}};
constexpr std::array<GgufName, 8> kMambaLayerNames{{
    {"attn_norm", "norm"},
    {"ssm_in", "mixer.in_proj"},
    {"ssm_conv1d", "mixer.conv1d"},
    {"ssm_x", "mixer.x_proj"},
    {"ssm_dt", "mixer.dt_proj"},
    {"ssm_a", "mixer.A_log"},
    {"ssm_d", "mixer.D"},
    {"ssm_out", "mixer.out_proj"},
}};
constexpr GgufNames kMambaNames{kMambaOuterNames, kMambaLayerNames, "blk.", "backbone.layers."};

struct Architecture {
  std::string_view name;        // general.architecture
  std::string_view model_type;  // Hugging Face's
  std::string_view model_class;
  const GgufNames* names;
  bool paired;  // whether the converter reordered the rows of q and k
};
constexpr std::array<Architecture, 6> kArchitectures{{
    {"llama", "llama", "LlamaForCausalLM", &kAttentionNames, true},
    {"mamba", "mamba", "MambaForCausalLM", &kMambaNames, false},
    {"qwen2", "qwen2", "Qwen2ForCausalLM", &kAttentionNames, false},
    {"qwen2vl", "qwen2_5_vl_text", "Qwen2ForCausalLM", &kAttentionNames, false},
    {"qwen3", "qwen3", "Qwen3ForCausalLM", &kAttentionNames, false},
    {"smollm3", "smollm3", "SmolLM3ForCausalLM", &kAttentionNames, true},
}};

const Architecture& architecture_of(const std::string& path, const Json& metadata) {
  const std::string name = metadata.get("general.architecture", "");
  const auto it = std::ranges::find(kArchitectures, name, &Architecture::name);
  if (it != kArchitectures.end()) return *it;
  throw Error(ErrorCode::kUnimplemented,
              path + ": architecture '" + name + "' is not read here; there are " +
                  joined_text(kArchitectures, ", ", &Architecture::name));
}

void set_rope(const GgufKeys& keys, Json& config) {
  config.set("rope_theta", keys.number("rope.freq_base", 10000));
  if (const Json* sections = keys.find("rope.dimension_sections")) {
    // Four, of which models that see use three.
    Json::Array three = sections->as_array();
    three.resize(std::min<size_t>(three.size(), 3));
    Json places;
    places.set("rope_type", "mrope");
    places.set("mrope_section", std::move(three));
    config.set("rope_scaling", std::move(places));
    return;
  }
  const std::string type = keys.text("rope.scaling.type", "none");
  if (type == "none") return;
  const double factor = keys.number("rope.scaling.factor", 1);
  Json scaling;
  scaling.set("rope_type", type);
  scaling.set("factor", factor);
  if (keys.find("rope.scaling.original_context_length")) {
    scaling.set("original_max_position_embeddings",
                keys.count("rope.scaling.original_context_length"));
  }
  if (keys.find("rope.scaling.attn_factor")) {
    const double attention = keys.number("rope.scaling.attn_factor", 1);
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

/// The type that most of a model is stored in, unless it is quantised.
void set_dtype(const ElementType& type, Json& config) {
  if (type == ElementType(at::kHalf)) config.set("dtype", "float16");
  if (type == ElementType(at::kBFloat16)) config.set("dtype", "bfloat16");
}

void set_attention(const GgufKeys& keys, const TensorStore& tensors, Json& config) {
  const int64_t heads = keys.count("attention.head_count");
  config.set("num_attention_heads", heads);
  config.set("num_key_value_heads", keys.count("attention.head_count_kv", heads));
  config.set("head_dim",
             keys.count("attention.key_length", keys.count("embedding_length") / heads));
  config.set("intermediate_size", keys.count("feed_forward_length"));
  config.set("hidden_act", "silu");
  config.set("rms_norm_eps", keys.number("attention.layer_norm_rms_epsilon", 1e-5));
  config.set("max_position_embeddings", keys.count("context_length"));
  config.set("attention_bias", tensors.contains("blk.0.attn_q.bias"));
  config.set("mlp_bias", tensors.contains("blk.0.ffn_gate.bias"));
  if (keys.find("attention.sliding_window")) {
    config.set("sliding_window", keys.count("attention.sliding_window"));
  }
  set_rope(keys, config);
}

/// The context length says nothing: converters write one that nobody trained.
void set_mamba(const std::string& path, const GgufKeys& keys, Json& config) {
  check(!keys.flag("ssm.dt_b_c_rms"), ErrorCode::kUnimplemented,
        path + ": mamba.ssm.dt_b_c_rms: expected false, got true");
  const int64_t width = keys.count("embedding_length"), channels = keys.count("ssm.inner_size");
  check(channels % width == 0, ErrorCode::kInvalidArgument,
        path + ": mamba.ssm.inner_size: expected a multiple of " + std::to_string(width) +
            ", got " + std::to_string(channels));
  config.set("expand", channels / width);
  config.set("state_size", keys.count("ssm.state_size"));
  config.set("conv_kernel", keys.count("ssm.conv_kernel"));
  config.set("time_step_rank", keys.count("ssm.time_step_rank"));
  config.set("layer_norm_epsilon", keys.number("attention.layer_norm_rms_epsilon", 1e-5));
  config.set("residual_in_fp32", true);
}

Json hugging_face_config(const std::string& path, const GgufFile& file,
                         const Architecture& architecture) {
  const GgufKeys keys(path, file.metadata, architecture.name);
  Json config;
  config.set("architectures", Json::Array{Json(architecture.model_class)});
  config.set("model_type", architecture.model_type);
  config.set("hidden_size", keys.count("embedding_length"));
  config.set("num_hidden_layers", keys.count("block_count"));
  check(file.tensors->contains("token_embd.weight"), ErrorCode::kInvalidArgument,
        path + ": expected a tensor token_embd.weight, got none");
  config.set("vocab_size", file.tensors->shape("token_embd.weight").front());
  config.set("tie_word_embeddings", !file.tensors->contains("output.weight"));
  set_dtype(file.tensors->type("token_embd.weight"), config);
  if (architecture.name == "mamba") {
    set_mamba(path, keys, config);
  } else {
    set_attention(keys, *file.tensors, config);
  }
  if (architecture.name == "smollm3") config.set("no_rope_layer_interval", 4);
  set_token(file.metadata, "bos_token_id", "bos_token_id", config);
  set_token(file.metadata, "eos_token_id", "eos_token_id", config);
  set_token(file.metadata, "padding_token_id", "pad_token_id", config);
  return config;
}

/// What the converter did to a tensor of a language model.
Entry entry_of(const Architecture& architecture, const std::string& name, const Json& config) {
  Entry entry{nullptr, {name}};
  const auto is = [&](const char* stem, const char* kind) {
    return name.starts_with("blk.") && name.ends_with(std::string(".") + stem + kind);
  };
  const auto paired = [&](const char* stem, const char* heads) {
    if (!architecture.paired || !(is(stem, ".weight") || is(stem, ".bias"))) return;
    entry.conversion = Conversion::kPairedRows;
    entry.heads = config.at(heads).as_int();
  };
  paired("attn_q", "num_attention_heads");
  paired("attn_k", "num_key_value_heads");
  if (is("ssm_conv1d", ".weight")) entry.conversion = Conversion::kNoMiddle;
  if (is("ssm_a", "")) entry.conversion = Conversion::kNegativeExp;
  return entry;
}

}  // namespace

GgufPart gguf_language_model(const std::string& path) {
  GgufFile file = open_gguf(path);
  const Architecture& architecture = architecture_of(path, file.metadata);
  GgufPart part{hugging_face_config(path, file, architecture), {}, {}};
  for (const std::string& name : file.tensors->names()) {
    Entry entry = entry_of(architecture, name, part.config);
    entry.from = file.tensors;
    const std::string renamed_to = architecture.names->renamed(name);
    check(part.tensors.emplace(renamed_to, std::move(entry)).second, ErrorCode::kInvalidArgument,
          path + ": two tensors are called " + renamed_to);
  }
  part.metadata = std::move(file.metadata);
  return part;
}

}  // namespace lv
