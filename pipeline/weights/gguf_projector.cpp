#include "pipeline/weights/gguf_projector.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <utility>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"
#include "pipeline/weights/gguf.h"
#include "pipeline/weights/gguf_keys.h"

// Reference: ggml-org/llama.cpp, tools/mtmd (keys and names), for models in Hugging Face's layout.

namespace lv {
namespace {

using Index = ConvertedStore::Index;

constexpr int64_t kMostPlaceEdge = 4096;  // pixels

constexpr std::array<GgufName, 7> kTowerNames{{
    {"v.class_embd", "model.vision_tower.embeddings.class_embedding"},
    {"v.patch_embd", "model.vision_tower.embeddings.patch_embedding"},
    {"v.position_embd", "model.vision_tower.embeddings.position_embedding"},
    {"v.pre_ln", "model.vision_tower.pre_layrnorm"},
    {"v.post_ln", "model.vision_tower.post_layernorm"},
    {"mm.0", "model.multi_modal_projector.linear_1"},
    {"mm.2", "model.multi_modal_projector.linear_2"},
}};
constexpr std::array<GgufName, 4> kIdefics3Names{{
    {"v.patch_embd", "model.vision_model.embeddings.patch_embedding"},
    {"v.position_embd", "model.vision_model.embeddings.position_embedding"},
    {"v.post_ln", "model.vision_model.post_layernorm"},
    {"mm.model.fc", "model.connector.modality_projection.proj"},
}};
constexpr std::array<GgufName, 8> kTowerLayerNames{{
    {"ln1", "layer_norm1"},
    {"ln2", "layer_norm2"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_out", "self_attn.out_proj"},
    {"ffn_up", "mlp.fc1"},
    {"ffn_down", "mlp.fc2"},
}};
constexpr std::array<GgufName, 3> kQwenNames{{
    {"v.post_ln", "model.visual.merger.ln_q"},
    {"mm.0", "model.visual.merger.mlp.0"},
    {"mm.2", "model.visual.merger.mlp.2"},
}};
constexpr std::array<GgufName, 6> kQwenLayerNames{{
    {"ln1", "norm1"},
    {"ln2", "norm2"},
    {"attn_out", "attn.proj"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
}};

/// A projector file and what is written about it.
struct File {
  std::string path;
  GgufFile content;
  GgufKeys clip, vision;

  explicit File(const std::string& given)
      : path(given),
        content(open_gguf(given)),
        clip(given, content.metadata, "clip"),
        vision(given, content.metadata, "clip.vision") {}
  File(const File&) = delete;  // the keys look into the content

  bool has(const char* tensor) const { return content.tensors->contains(tensor); }
};

/// Keys of the vision part that all kinds have.
Json tower_config(const File& file, const char* model_type) {
  Json config;
  config.set("model_type", model_type);
  config.set("hidden_size", file.vision.count("embedding_length"));
  config.set("intermediate_size", file.vision.count("feed_forward_length"));
  config.set("num_hidden_layers", file.vision.count("block_count"));
  config.set("num_attention_heads", file.vision.count("attention.head_count"));
  config.set("image_size", file.vision.count("image_size"));
  config.set("patch_size", file.vision.count("patch_size"));
  config.set("layer_norm_eps", file.vision.number("attention.layer_norm_epsilon", 1e-6));
  return config;
}

Json edges(const char* key, int64_t pixels) {
  Json size;
  size.set(key, pixels);
  return size;
}

Json processor_config(const File& file, const char* type) {
  Json config;
  config.set("image_processor_type", type);
  for (const char* key : {"image_mean", "image_std"}) {
    const Json* values = file.vision.find(key);
    check(values != nullptr && values->is_array(), ErrorCode::kInvalidArgument,
          file.path + ": clip.vision." + key + ": expected three numbers, got none");
    Json::Array written;
    for (const Json& value : values->as_array()) {
      written.emplace_back(as_written(value.as_double()));
    }
    config.set(key, std::move(written));
  }
  return config;
}

/// LLaVA 1.5: CLIP or SigLIP, of which its own converter drops the layers that are not read.
void configure_mlp(const File& file, Json& whole) {
  const Json* grid = file.vision.find("image_grid_pinpoints");
  check(grid == nullptr || grid->as_array().empty(), ErrorCode::kUnimplemented,
        file.path + ": clip.vision.image_grid_pinpoints: pictures in tiles are not read here");
  const bool clip = file.has("v.class_embd");
  Json vision = tower_config(file, clip ? "clip_vision_model" : "siglip_vision_model");
  // Converters know no name for SigLIP's, which is always the same.
  const char* const clip_act = file.clip.flag("use_gelu") ? "gelu" : "quick_gelu";
  vision.set("hidden_act", clip ? clip_act : "gelu_pytorch_tanh");
  const int64_t layers = vision.at("num_hidden_layers").as_int();
  const Json* read = file.vision.find("feature_layer");
  if (read != nullptr && !read->as_array().empty()) {
    whole.set("vision_feature_layer", *read);
  } else {
    // A tower with its last norm is whole; of one without, all that is there is read.
    whole.set("vision_feature_layer", file.has("v.post_ln.weight") ? layers - 1 : layers);
  }
  whole.set("vision_feature_select_strategy", clip ? "default" : "full");
  whole.set("projector_hidden_act", "gelu");
  whole.set("vision_config", std::move(vision));
  const int64_t side = file.vision.count("image_size");
  Json images = processor_config(file, "CLIPImageProcessor");
  images.set("image_aspect_ratio", "pad");  // to a square, in the mean colour
  images.set("size", edges("shortest_edge", side));
  images.set("crop_size", side);
  whole.set("image_processor", std::move(images));
}

void configure_idefics3(const File& file, Json& whole) {
  Json vision = tower_config(file, "smolvlm_vision");
  vision.set("hidden_act", "gelu_pytorch_tanh");
  whole.set("vision_config", std::move(vision));
  whole.set("scale_factor", file.vision.count("projector.scale_factor"));
  const int64_t side = file.vision.count("image_size");
  Json images = processor_config(file, "SmolVLMImageProcessor");
  images.set("size", edges("longest_edge", file.vision.count("preproc_image_size", side)));
  images.set("max_image_size", edges("longest_edge", side));
  whole.set("image_processor", std::move(images));
}

void configure_qwen(const File& file, Json& whole) {
  Json vision;
  const int64_t depth = file.vision.count("block_count"), patch = file.vision.count("patch_size");
  const int64_t merge = file.vision.count("spatial_merge_size", 2);
  check(depth <= static_cast<int64_t>(file.content.tensors->names().size()),
        ErrorCode::kInvalidArgument,
        file.path + ": clip.vision.block_count: expected no more blocks than tensors, got " +
            std::to_string(depth));
  check(patch * merge <= kMostPlaceEdge, ErrorCode::kInvalidArgument,
        file.path + ": clip.vision.patch_size: expected a place of at most " +
            std::to_string(kMostPlaceEdge) + " pixels an edge, got " +
            std::to_string(patch * merge));
  vision.set("model_type", "qwen2_5_vl_vision");
  vision.set("depth", depth);
  vision.set("hidden_size", file.vision.count("embedding_length"));
  vision.set("intermediate_size", file.vision.count("feed_forward_length"));
  vision.set("num_heads", file.vision.count("attention.head_count"));
  vision.set("patch_size", patch);
  vision.set("spatial_merge_size", merge);
  vision.set("temporal_patch_size", 2);
  // No key says it, since llama.cpp reads no films; it is 2 in all models that were published.
  vision.set("tokens_per_second", 2);
  vision.set("window_size", file.vision.count("window_size", 112));
  vision.set("out_hidden_size", whole.at("text_config").at("hidden_size"));
  const int64_t pattern = file.vision.count("n_wa_pattern");
  Json::Array full;
  for (int64_t block = pattern - 1; block < depth; block += pattern) full.emplace_back(block);
  vision.set("fullatt_block_indexes", std::move(full));
  whole.set("vision_config", std::move(vision));
  const int64_t place = patch * patch * merge * merge;  // pixels that one row stands for
  Json images = processor_config(file, "Qwen2VLImageProcessor");
  images.set("patch_size", patch);
  images.set("merge_size", merge);
  images.set("min_pixels", file.vision.count("image_min_pixels", 8 * place));
  images.set("max_pixels", file.vision.count("image_max_pixels", 4096 * place));
  whole.set("image_processor", std::move(images));
}

/// A kind of eyes.
struct Kind {
  std::string_view name;  // clip.projector_type
  std::string_view architecture, model_type;
  GgufNames names;
  std::string_view text;  // where the whole model has the language model's tensors
  const char* last;       // matrix of the connector
  void (*configure)(const File& file, Json& whole);
};

const std::array<Kind, 3>& kinds() {
  static const std::array<Kind, 3> all{{
      {"idefics3",
       "SmolVLMForConditionalGeneration",
       "smolvlm",
       {kIdefics3Names, kTowerLayerNames, "v.blk.", "model.vision_model.encoder.layers."},
       "model.text_model.",
       "mm.model.fc.weight",
       configure_idefics3},
      {"mlp",
       "LlavaForConditionalGeneration",
       "llava",
       {kTowerNames, kTowerLayerNames, "v.blk.", "model.vision_tower.encoder.layers."},
       "model.language_model.",
       "mm.2.weight",
       configure_mlp},
      {"qwen2.5vl_merger",
       "Qwen2_5_VLForConditionalGeneration",
       "qwen2_5_vl",
       {kQwenNames, kQwenLayerNames, "v.blk.", "model.visual.blocks."},
       "model.language_model.",
       "mm.2.weight",
       configure_qwen},
  }};
  return all;
}

const Kind* kind_of(const File& file) {
  const std::string name = file.clip.text("projector_type", "");
  const auto it = std::ranges::find(kinds(), name, &Kind::name);
  return it == kinds().end() ? nullptr : &*it;
}

/// Old converters exchanged the names of an MLP's two layers: then the one called "down" reads the
/// stream.
bool has_exchanged_layers(const File& file) {
  const char* down = "v.blk.0.ffn_down.weight";
  if (!file.has(down)) return false;
  const std::vector<int64_t> shape = file.content.tensors->shape(down);
  const int64_t width = file.vision.count("embedding_length");
  return shape.size() == 2 && shape[1] == width && shape[0] != width;
}

std::string exchanged(std::string name) {
  const size_t up = name.find(".ffn_up."), down = name.find(".ffn_down.");
  if (up != std::string::npos) return name.replace(up, 8, ".ffn_down.");
  if (down != std::string::npos) return name.replace(down, 10, ".ffn_up.");
  return name;
}

/// What Qwen's converter cut: q, k and v, and the kernels of a patch over time.
bool add_joined(const File& file, const std::string& name, Index& tensors) {
  const size_t q = name.find(".attn_q."), part = name.find(".attn_");
  if (name.starts_with("v.blk.") && q != std::string::npos) {
    ConvertedStore::Entry entry{file.content.tensors, {name, name, name}, Conversion::kCutInRows};
    entry.stored[1][part + 6] = 'k';
    entry.stored[2][part + 6] = 'v';
    for (const std::string& stored : entry.stored) {
      check(file.has(stored.c_str()), ErrorCode::kInvalidArgument,
            file.path + ": expected a tensor " + stored + ", got none");
    }
    tensors.emplace(
        "model.visual.blocks." + name.substr(6, q - 6) + ".attn.qkv" + name.substr(q + 7),
        std::move(entry));
    return true;
  }
  if (name == "v.patch_embd.weight" && file.has("v.patch_embd.weight.1")) {
    tensors.emplace("model.visual.patch_embed.proj.weight",
                    ConvertedStore::Entry{
                        file.content.tensors, {name, name + ".1"}, Conversion::kCutInMoments});
    return true;
  }
  const bool follows = name.find(".attn_k.") != std::string::npos ||
                       name.find(".attn_v.") != std::string::npos ||
                       name == "v.patch_embd.weight.1";
  return follows;
}

void add_tensors(const File& file, const Kind& kind, Index& tensors) {
  const bool exchange = has_exchanged_layers(file);
  const bool qwen = kind.configure == configure_qwen;
  for (const std::string& name : file.content.tensors->names()) {
    if (qwen && add_joined(file, name, tensors)) continue;
    const std::string renamed = kind.names.renamed(exchange ? exchanged(name) : name);
    check(tensors.emplace(renamed, ConvertedStore::Entry{file.content.tensors, {name}}).second,
          ErrorCode::kInvalidArgument, file.path + ": two tensors are called " + renamed);
  }
}

/// The language model's tensors as the whole model names them.
Index under(std::string_view prefix, Index text) {
  Index whole;
  constexpr std::string_view kModel = "model.";
  for (auto& [name, entry] : text) {
    const bool inner = name.starts_with(kModel);
    whole.emplace(inner ? std::string(prefix) + name.substr(kModel.size()) : name,
                  std::move(entry));
  }
  return whole;
}

/// The id of a token that stands for visual rows, the first that the vocabulary has; -1 for none.
int64_t mark_id(const Json& metadata, std::initializer_list<const char*> marks) {
  const Json* tokens = metadata.find("tokenizer.ggml.tokens");
  if (tokens == nullptr) return -1;
  const Json::Array& all = tokens->as_array();
  for (const char* mark : marks) {
    const auto it = std::ranges::find(all, Json(mark));
    if (it != all.end()) return it - all.begin();
  }
  return -1;
}

/// As LLaVA 1.5's conversations are written; files of its language model bring no template.
constexpr const char* kLlavaTemplate =
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\n' }}"
    "{% else %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}";

}  // namespace

std::optional<int64_t> gguf_projector_width(const std::string& path) {
  try {
    const File file(path);
    const Kind* kind = kind_of(file);
    if (kind == nullptr || !file.has(kind->last)) return std::nullopt;
    return file.content.tensors->shape(kind->last).front();
  } catch (const Error&) {  // a file that cannot be read fits no model
    return std::nullopt;
  }
}

GgufPart with_projector(GgufPart text, const std::string& path) {
  const File file(path);
  check(file.content.metadata.get("general.architecture", "") == "clip",
        ErrorCode::kInvalidArgument, path + ": expected a projector (mmproj), got another model");
  const Kind* kind = kind_of(file);
  if (kind == nullptr) {
    throw Error(ErrorCode::kUnimplemented,
                path + ": projector '" + file.clip.text("projector_type", "") +
                    "' is not read here; there are " + joined_text(kinds(), ", ", &Kind::name));
  }
  check(file.has(kind->last), ErrorCode::kInvalidArgument,
        path + ": expected a tensor " + kind->last + ", got none");
  const int64_t width = text.config.at("hidden_size").as_int();
  const int64_t rows = file.content.tensors->shape(kind->last).front();
  check(rows == width, ErrorCode::kInvalidArgument,
        path + ": expected rows as wide as the language model's, " + std::to_string(width) +
            ", got " + std::to_string(rows));
  GgufPart whole;
  whole.config.set("architectures", Json::Array{Json(kind->architecture)});
  whole.config.set("model_type", kind->model_type);
  whole.config.set("tie_word_embeddings", text.config.at("tie_word_embeddings"));
  whole.config.set("text_config", std::move(text.config));
  whole.config.set("image_token_id", mark_id(text.metadata, {"<image>", "<|image_pad|>"}));
  whole.config.set("video_token_id", mark_id(text.metadata, {"<video>", "<|video_pad|>"}));
  kind->configure(file, whole.config);
  whole.tensors = under(kind->text, std::move(text.tensors));
  add_tensors(file, *kind, whole.tensors);
  whole.metadata = std::move(text.metadata);
  const char* const chat = "tokenizer.chat_template";
  if (kind->name == "mlp" && whole.metadata.find(chat) == nullptr) {
    whole.metadata.set(chat, kLlavaTemplate);
  }
  return whole;
}

}  // namespace lv
