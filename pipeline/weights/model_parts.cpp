#include "pipeline/weights/model_parts.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include "pipeline/base/error.h"
#include "pipeline/weights/named_tower.h"

namespace lv {
namespace {

struct PartNames {
  std::vector<Renaming> text, vision, connector;
  std::vector<Renaming> compressor = {};
  std::vector<Renaming> pointer = {};
  std::vector<Renaming> unused = {};  // what files hold that nothing computes with
};

/// How the tensors of an architecture are named, in every layout that is in use: newer files put
/// all but the head below "model".
const std::map<std::string, PartNames, std::less<>>& layouts() {
  static const PartNames llava = {{{"language_model.model.", "model."},
                                   {"language_model.lm_head.", "lm_head."},
                                   {"model.language_model.", "model."},
                                   {"lm_head.", "lm_head."}},
                                  {{"vision_tower.", ""}, {"model.vision_tower.", ""}},
                                  {{"multi_modal_projector.", ""},
                                   {"model.multi_modal_projector.", ""},
                                   {"image_newline", "image_newline"},
                                   {"model.image_newline", "image_newline"}}};
  static const PartNames aurora = {
      llava.text,
      llava.vision,
      {{"multi_modal_projector.", ""}, {"model.multi_modal_projector.", ""}},
      {},
      {},
      {{"image_newline", ""}}};
  static const PartNames combiner = {
      llava.text, llava.vision, llava.connector, {{"combiner.", ""}}};
  static const PartNames idefics3 = {{{"model.text_model.", "model."}, {"lm_head.", "lm_head."}},
                                     {{"model.vision_model.", ""}},
                                     {{"model.connector.", ""}}};
  static const PartNames qwen_vl = {{{"model.language_model.", "model."},
                                     {"model.embed_tokens.", "model.embed_tokens."},
                                     {"model.layers.", "model.layers."},
                                     {"model.norm.", "model.norm."},
                                     {"lm_head.", "lm_head."}},
                                    {{"visual.", ""}, {"model.visual.", ""}},
                                    {}};
  // Its classifier's head reads a picture as a whole, for labels, and place by place.
  static const PartNames nano = {
      {{"language_model.", ""}},
      {{"eyes.", "eyes."}, {"classifier.", "classifier."}},
      {{"connector.", ""}, {"classifier._fc.", "head."}, {"class_words", "words"}},
      {{"interactor.", ""}},
      {{"pointer.", ""}}};
  static const PartNames vlora = {{{"model.embed_tokens.", "model.embed_tokens."},
                                   {"model.layers.", "model.layers."},
                                   {"model.norm.", "model.norm."},
                                   {"lm_head.", "lm_head."}},
                                  {{"model.vision_tower.vision_tower.", ""}},
                                  {},
                                  {{"model.mm_projector.", ""}}};
  static const std::map<std::string, PartNames, std::less<>> all = {
      {"AuroraForConditionalGeneration", aurora},
      {"Idefics2ForConditionalGeneration", idefics3},
      {"Idefics3ForConditionalGeneration", idefics3},
      {"LeopardLlavaForConditionalGeneration", llava},
      {"LlavaCombinerForConditionalGeneration", combiner},
      {"LlavaForConditionalGeneration", llava},
      {"LlavaLlamaVLoRAForCausalLM", vlora},
      {"LlavaOnevisionForConditionalGeneration", llava},
      {"NanoForConditionalGeneration", nano},
      {"Qwen2_5_VLForConditionalGeneration", qwen_vl},
      {"SmolVLMForConditionalGeneration", idefics3},
  };
  return all;
}

/// What a configuration leaves out when it is as its family's first model was. Files of whole
/// models often hold only what differs.
struct Family {
  std::string_view model_type;
  std::string_view architecture;
  std::string_view defaults;  // JSON
};

// Encoders that go by several names.
constexpr std::string_view kQwen25Vision =
    R"({"depth": 32, "hidden_size": 3584, "intermediate_size": 3420, "num_heads": 16,
         "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
         "out_hidden_size": 3584, "fullatt_block_indexes": [7, 15, 23, 31],
         "tokens_per_second": 4, "hidden_act": "silu"})";
constexpr std::string_view kIdefics2Vision =
    R"({"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 12, "image_size": 224, "patch_size": 32,
         "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})";
constexpr std::string_view kIdefics3Vision =
    R"({"hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 16, "image_size": 224, "patch_size": 32,
         "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})";

constexpr std::array<Family, 17> kFamilies = {{
    {"llama", "LlamaForCausalLM",
     R"({"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
         "num_attention_heads": 32, "vocab_size": 32000, "max_position_embeddings": 2048,
         "rms_norm_eps": 1e-6})"},
    {"mistral", "MistralForCausalLM",
     R"({"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
         "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
         "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "sliding_window": 4096})"},
    {"qwen2", "Qwen2ForCausalLM",
     R"({"hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32,
         "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 151936,
         "max_position_embeddings": 32768, "rms_norm_eps": 1e-6})"},
    {"qwen3", "Qwen3ForCausalLM", "{}"},
    {"llava_vlora_text", "LlamaForCausalLM", "{}"},
    {"qwen2_5_vl_text", "Qwen2ForCausalLM", "{}"},
    {"qwen2_5_vl", "Qwen2_5_VLVisionModel", kQwen25Vision},
    {"qwen2_5_vl_vision", "Qwen2_5_VLVisionModel", kQwen25Vision},
    {"clip_vision_model", "CLIPVisionModel",
     R"({"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 12, "image_size": 224, "patch_size": 32,
         "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5})"},
    {"siglip_vision_model", "SiglipVisionModel",
     R"({"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 12, "image_size": 224, "patch_size": 16,
         "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})"},
    {"siglip2_vision_model", "Siglip2VisionModel",
     R"({"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 12, "num_patches": 256, "patch_size": 16,
         "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6})"},
    {"idefics2", "Idefics3VisionTransformer", kIdefics2Vision},
    {"idefics2_vision", "Idefics3VisionTransformer", kIdefics2Vision},
    {"idefics3", "Idefics3VisionTransformer", kIdefics3Vision},
    {"idefics3_vision", "Idefics3VisionTransformer", kIdefics3Vision},
    {"nano_vision", "NanoVision", "{}"},
    {"smolvlm_vision", "Idefics3VisionTransformer", kIdefics3Vision},
}};

/// The configuration of a part: what it says itself, what the whole says for all, and the
/// defaults of its family.
Json part_config(const std::string& name, const Json& whole, const Json& own) {
  const std::string type = own.get("model_type", "");
  const auto family = std::ranges::find(kFamilies, type, &Family::model_type);
  check(family != kFamilies.end(), ErrorCode::kUnimplemented,
        name + ": model_type '" + type + "' is not read here");
  Json config = parse_json(family->defaults, "defaults");
  for (const auto& [key, value] : own.as_object()) {
    if (!value.is_null()) config.set(key, value);
  }
  for (const char* key : {"dtype", "torch_dtype", "tie_word_embeddings"}) {
    if (const Json* value = whole.find(key)) config.set(key, *value);
  }
  config.set("architectures", Json::Array{Json(family->architecture)});
  return config;
}

/// A model that names its image encoder without describing it needs its files.
void check_has_tower(const Checkpoint& checkpoint) {
  const Json* name = checkpoint.config().find("mm_vision_tower");
  if (name == nullptr || checkpoint.config().find("vision_config") != nullptr) return;
  std::string places;
  for (const std::string& folder : tower_folders(checkpoint.path(), checkpoint.config())) {
    places += (places.empty() ? "" : " or ") + folder;
  }
  throw Error(ErrorCode::kNotFound, checkpoint.name() +
                                        ": expected its image encoder (mm_vision_tower " +
                                        (name->is_string() ? name->as_string() : "unnamed") +
                                        ") in " + places + ", got none");
}

const PartNames& names_of(const Checkpoint& checkpoint) {
  const auto layout = layouts().find(checkpoint.architecture());
  check(layout != layouts().end(), ErrorCode::kNotFound,
        checkpoint.name() + ": " + checkpoint.architecture() + " has no part that sees");
  return layout->second;
}

/// Every tensor belongs to some part: what one process leaves to another is not left over.
void check_claimed(const Checkpoint& checkpoint, const PartNames& names) {
  std::vector<Renaming> all = names.text;
  for (const auto* part :
       {&names.vision, &names.connector, &names.compressor, &names.pointer, &names.unused}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  checkpoint.check_covered(all);
}

}  // namespace

bool has_vision(const Checkpoint& checkpoint) {
  return layouts().contains(checkpoint.architecture());
}

Checkpoint text_part(const Checkpoint& checkpoint) {
  if (!has_vision(checkpoint)) return checkpoint;
  const PartNames& names = names_of(checkpoint);
  check_claimed(checkpoint, names);
  const Json& whole = checkpoint.config();
  const Json* own = whole.find("text_config");
  if (own != nullptr) return checkpoint.part(part_config("text_config", whole, *own), names.text);
  // Some put the language model's keys beside those of the whole.
  Json flat = whole;
  flat.set("model_type", whole.at("model_type").as_string() + "_text");
  return checkpoint.part(part_config(checkpoint.name(), whole, flat), names.text);
}

Checkpoint vision_part(const Checkpoint& checkpoint) {
  const PartNames& names = names_of(checkpoint);
  check_claimed(checkpoint, names);
  const Json& whole = checkpoint.config();
  check_has_tower(checkpoint);
  Json config = part_config("vision_config", whole, whole.at("vision_config"));
  // Which features the language model reads is a key of the whole.
  for (const char* key : {"vision_feature_layer", "vision_feature_select_strategy"}) {
    if (const Json* value = whole.find(key)) config.set(key, *value);
  }
  if (const Json* layer = whole.find("mm_vision_select_layer")) {
    config.set("vision_feature_layer", *layer);
  }
  if (const Json* feature = whole.find("mm_vision_select_feature")) {
    config.set("vision_feature_select_strategy",
               feature->as_string() == "cls_patch" ? "full" : "default");
  }
  return checkpoint.part(std::move(config), names.vision);
}

bool has_compressor(const Checkpoint& checkpoint) {
  return has_vision(checkpoint) && !names_of(checkpoint).compressor.empty();
}

Checkpoint compressor_part(const Checkpoint& checkpoint) {
  const PartNames& names = names_of(checkpoint);
  check(has_compressor(checkpoint), ErrorCode::kNotFound,
        checkpoint.name() + ": " + checkpoint.architecture() + " has no compressor of its own");
  check_claimed(checkpoint, names);
  return checkpoint.part(checkpoint.config(), names.compressor);
}

bool has_pointer(const Checkpoint& checkpoint) {
  return has_vision(checkpoint) && !names_of(checkpoint).pointer.empty();
}

Checkpoint pointer_part(const Checkpoint& checkpoint) {
  const PartNames& names = names_of(checkpoint);
  check(has_pointer(checkpoint), ErrorCode::kNotFound,
        checkpoint.name() + ": " + checkpoint.architecture() + " points at nothing");
  check_claimed(checkpoint, names);
  return checkpoint.part(checkpoint.config(), names.pointer);
}

Checkpoint connector_part(const Checkpoint& checkpoint) {
  const PartNames& names = names_of(checkpoint);
  check_claimed(checkpoint, names);
  return checkpoint.part(checkpoint.config(), names.connector);
}

}  // namespace lv
