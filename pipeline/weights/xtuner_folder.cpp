#include "pipeline/weights/xtuner_folder.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/weights/converted_store.h"

namespace lv {
namespace {

constexpr const char* kEncoder = "/visual_encoder";
constexpr const char* kProjector = "/projector";

bool says(const Json& config, std::string_view architecture) {
  const Json* all = config.find("architectures");
  return all != nullptr && all->is_array() &&
         std::ranges::any_of(all->as_array(), [&](const Json& each) {
           return each.is_string() && each.as_string() == architecture;
         });
}

/// The image processor that lies beside the encoder or, where none does, the one that AuroraCap's
/// own program sets: CLIP's at the encoder's size.
Json image_processor(const std::string& encoder_folder, const Json& vision) {
  const std::string path = encoder_folder + "/preprocessor_config.json";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return read_json_file(path);
  Json config;
  config.set("image_processor_type", "CLIPImageProcessor");
  config.set("image_mean", Json::Array{0.48145466, 0.4578275, 0.40821073});
  config.set("image_std", Json::Array{0.26862954, 0.26130258, 0.27577711});
  config.set("size", vision.at("image_size"));
  config.set("crop_size", vision.at("image_size"));
  return config;
}

/// The configuration of the whole that LLaVA's files hold in one.
Json whole_config(const Json& text, const Json& vision, const Json& projector) {
  const int64_t depth = projector.get("depth", 2);
  check(depth == 2, ErrorCode::kUnimplemented,
        "projector/config.json: depth: expected 2, got " + std::to_string(depth));
  const bool aurora = says(vision, "AuroraEncoder");
  const bool has_class_token = vision.get("model_type", "") == "clip_vision_model";
  Json whole;
  whole.set("architectures", Json::Array{Json(aurora ? "AuroraForConditionalGeneration"
                                                     : "LlavaForConditionalGeneration")});
  whole.set("model_type", aurora ? "aurora" : "llava");
  whole.set("text_config", text);
  whole.set("vision_config", vision);
  whole.set("projector_hidden_act", projector.get("hidden_act", "gelu"));
  whole.set("image_token_index", -200);  // what stands for a picture in its prompts
  whole.set("vision_feature_layer", -2);
  whole.set("vision_feature_select_strategy", has_class_token ? "default" : "full");
  for (const char* key : {"dtype", "torch_dtype", "tie_word_embeddings", "eos_token_id"}) {
    if (const Json* value = text.find(key)) whole.set(key, *value);
  }
  for (const Json* part : {&vision, &text}) {
    if (const Json* ratio = part->find("visual_token_merge_ratio")) {
      whole.set("visual_token_merge_ratio", *ratio);
    }
  }
  return whole;
}

/// Adds what lies in one of the folders; the first renaming that fits a name counts.
void add_tensors(const TensorStorePtr& tensors, const std::vector<Renaming>& renamings,
                 ConvertedStore::Index& index) {
  for (std::string& name : tensors->names()) {
    const auto rule = std::ranges::find_if(
        renamings, [&](const Renaming& each) { return name.starts_with(each.from); });
    std::string renamed =
        rule == renamings.end() ? name : std::string(rule->to) + name.substr(rule->from.size());
    index[std::move(renamed)] = {tensors, {std::move(name)}};
  }
}

}  // namespace

bool is_xtuner_folder(const std::string& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder + kEncoder + "/config.json", ignored) &&
         std::filesystem::exists(folder + kProjector + "/config.json", ignored);
}

Checkpoint xtuner_checkpoint(const std::string& folder) {
  const auto read_config = [&](const char* part) {
    return read_json_file(folder + part + "/config.json");
  };
  const auto tensors = [&](const char* part) { return open_safetensors_folder(folder + part); };
  ConvertedStore::Index index;
  add_tensors(tensors(""), {{"", "language_model."}}, index);
  add_tensors(tensors(kEncoder), {{"", "vision_tower."}}, index);
  add_tensors(tensors(kProjector),
              {{"model.0.", "multi_modal_projector.linear_1."},
               {"model.2.", "multi_modal_projector.linear_2."}},
              index);
  const Json vision = read_config(kEncoder);
  Json config = whole_config(read_config(""), vision, read_config(kProjector));
  config.set("image_processor", image_processor(folder + kEncoder, vision));
  return {folder, std::move(config), std::make_shared<ConvertedStore>(folder, std::move(index))};
}

}  // namespace lv
