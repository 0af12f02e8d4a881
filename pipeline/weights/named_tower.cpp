#include "pipeline/weights/named_tower.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/weights/converted_store.h"

namespace lv {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInside = "model.vision_tower.vision_tower.";

/// What files of the encoder that nearly all such models name say of it.
constexpr std::string_view kKnownTower = "clip-vit-large-patch14-336";
constexpr std::string_view kKnownConfig =
    R"({"model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
        "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14})";
constexpr std::string_view kKnownProcessor =
    R"({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336},
        "crop_size": {"height": 336, "width": 336}, "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711]})";

std::string tower_name(const Json& config) {
  const Json* name = config.find("mm_vision_tower");
  return name != nullptr && name->is_string() ? fs::path(name->as_string()).filename().string()
                                              : std::string();
}

/// Of an encoder's own configuration, or of a model's that also reads text.
Json vision_config(const Json& config) {
  const Json* part = config.find("vision_config");
  if (part == nullptr) return config;
  Json own = *part;
  own.set("model_type", "clip_vision_model");
  return own;
}

/// The encoder's processor, after pictures were made square unless the model was trained otherwise.
void set_processor(Json& config, Json processor) {
  processor.set("image_aspect_ratio", config.get("image_aspect_ratio", "pad"));
  config.set("image_processor", std::move(processor));
}

bool has_tower(const TensorStore& tensors) {
  return std::ranges::any_of(tensors.names(),
                             [](const std::string& name) { return name.starts_with(kInside); });
}

TensorStorePtr joined(const std::string& folder, const TensorStorePtr& whole,
                      const TensorStorePtr& tower) {
  ConvertedStore::Index index;
  for (const std::string& name : whole->names()) index[name] = {whole, {name}};
  const std::vector<std::string> names = tower->names();
  const auto sees = [](const std::string& name) { return name.starts_with("vision_model."); };
  const bool also_reads = std::ranges::any_of(names, sees);  // then the rest is not the encoder's
  for (const std::string& name : names) {
    if (!also_reads || sees(name)) index[std::string(kInside) + name] = {tower, {name}};
  }
  return std::make_shared<const ConvertedStore>(folder, std::move(index));
}

}  // namespace

std::vector<std::string> tower_folders(const std::string& folder, const Json& config) {
  const fs::path own = fs::path(folder).lexically_normal() / "";  // so that its parent is itself
  const std::string name = tower_name(config);
  std::vector<std::string> all{(own / "vision_tower").string()};
  if (!name.empty()) all.push_back((own.parent_path().parent_path() / name).string());
  return all;
}

FolderContents with_named_tower(const std::string& folder, FolderContents contents) {
  const std::string name = tower_name(contents.config);
  if (name.empty() || contents.config.find("vision_config") != nullptr) return contents;
  const std::vector<std::string> folders = tower_folders(folder, contents.config);
  const auto found = std::ranges::find_if(
      folders, [](const std::string& each) { return fs::exists(each + "/config.json"); });
  const bool inside = has_tower(*contents.tensors);
  if (found == folders.end()) {
    if (!inside || name != kKnownTower) return contents;
    contents.config.set("vision_config", parse_json(kKnownConfig, "vision_config"));
    set_processor(contents.config, parse_json(kKnownProcessor, "image_processor"));
    return contents;
  }
  contents.config.set("vision_config", vision_config(read_json_file(*found + "/config.json")));
  for (const std::string& near : {folder, *found}) {  // the encoder's own counts
    const std::string processor = near + "/preprocessor_config.json";
    if (fs::exists(processor)) set_processor(contents.config, read_json_file(processor));
  }
  if (!inside) {
    contents.tensors = joined(folder, contents.tensors, open_safetensors_folder(*found));
  }
  return contents;
}

}  // namespace lv
