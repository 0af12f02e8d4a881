#pragma once

#include <string>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/weights/tensor_store.h"

namespace lv {

/// What a folder in Hugging Face layout holds.
struct FolderContents {
  Json config;
  TensorStorePtr tensors;
};

/// Where the image encoder that a configuration names (`mm_vision_tower`) may lie, seen from its
/// folder: inside it as vision_tower, or beside it under its own name.
std::vector<std::string> tower_folders(const std::string& folder, const Json& config);

/// LLaVA's own code names the image encoder of a model and loads it from elsewhere. These are the
/// contents of `folder` with what it would load: `vision_config`, `image_processor`, and the
/// tensors below model.vision_tower.vision_tower, unless the folder has them. Contents that name no
/// encoder, describe it themselves, or whose encoder is nowhere, come back as they are.
FolderContents with_named_tower(const std::string& folder, FolderContents contents);

}  // namespace lv
