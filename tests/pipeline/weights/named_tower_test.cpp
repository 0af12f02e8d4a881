#include "pipeline/weights/named_tower.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "pipeline/weights/model_parts.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"

namespace lv {
namespace {

namespace fs = std::filesystem;

/// The tiny model's folder with its image encoder at `tower`, seen from the folder of all models.
std::string arranged(const TemporaryFolder& models, const std::string& tower) {
  const std::string whole = models / "whole", from = data("tests/data/whole/tiny_vlora");
  fs::copy(from, whole);  // without folders in it
  if (!tower.empty()) fs::copy(from + "/vision_tower", models / tower);
  return whole;
}

FolderContents contents_of(const std::string& name, NamedTensors tensors) {
  return {parse_json(R"({"mm_vision_tower": ")" + name + R"("})", "config"),
          std::make_shared<const MemoryStore>(std::move(tensors))};
}

}  // namespace

TEST_CASE("an image encoder that is named is found inside the folder or beside it") {
  const std::string tower = GENERATE(std::string("whole/vision_tower"), std::string("tower"));
  const TemporaryFolder models;
  const Checkpoint checkpoint = open_checkpoint(arranged(models, tower));
  const Checkpoint part = vision_part(checkpoint);
  CHECK(part.architecture() == "CLIPVisionModel");
  CHECK(part.config().at("hidden_size").as_int() == 24);
  CHECK(part.config().at("vision_feature_layer").as_int() == -2);
  const auto stored = open_safetensors_folder(models / tower);
  CHECK(part.tensors().names().size() == stored->names().size());
  const Json& processor = checkpoint.config().at("image_processor");
  CHECK(processor.at("image_processor_type").as_string() == "CLIPImageProcessor");
  CHECK(processor.at("image_aspect_ratio").as_string() == "pad");
  CHECK(text_part(checkpoint).architecture() == "LlamaForCausalLM");
  CHECK(compressor_part(checkpoint).tensors().contains("visual_proj.weight"));
}

TEST_CASE("an image encoder that is named and nowhere is missed by who looks, and by nobody else") {
  const TemporaryFolder models;
  const Checkpoint checkpoint = open_checkpoint(arranged(models, ""));
  CHECK_NOTHROW(text_part(checkpoint));
  CHECK_NOTHROW(compressor_part(checkpoint));
  CHECK_THROWS_MATCHES(vision_part(checkpoint), Error,
                       IsError(ErrorCode::kNotFound, "(mm_vision_tower made/tower) in"));
  CHECK_THROWS_WITH(vision_part(checkpoint), Catch::Contains(models / "whole/vision_tower or ") &&
                                                 Catch::Contains(models / "tower, got none"));
}

TEST_CASE("an image encoder among a model's weights stays there") {
  const NamedTensors tensors{{"model.vision_tower.vision_tower.vision_model.a", at::ones({2})}};
  const TemporaryFolder models;
  fs::create_directories(models / "tower");
  write_file(models / "tower/config.json", R"({"model_type": "clip", "text_config": {},
    "vision_config": {"hidden_size": 8, "model_type": "clip_vision"}})");
  const FolderContents got = with_named_tower(models / "whole/", contents_of("x/tower", tensors));
  CHECK(got.tensors->names().size() == 1);
  CHECK(got.config.at("vision_config").at("hidden_size").as_int() == 8);
  CHECK(got.config.at("vision_config").at("model_type").as_string() == "clip_vision_model");
}

TEST_CASE("the image encoder that most models name need not be described") {
  const std::string name = "openai/clip-vit-large-patch14-336";
  const NamedTensors tensors{{"model.vision_tower.vision_tower.vision_model.a", at::ones({2})}};
  const FolderContents got = with_named_tower("nowhere/whole", contents_of(name, tensors));
  CHECK(got.config.at("vision_config").at("image_size").as_int() == 336);
  CHECK(got.config.at("image_processor").at("size").at("shortest_edge").as_int() == 336);
  // Without its weights that does not help.
  const FolderContents empty = with_named_tower("nowhere/whole", contents_of(name, {}));
  CHECK(empty.config.find("vision_config") == nullptr);
}

TEST_CASE("a folder that names no image encoder is as it was") {
  const FolderContents given{parse_json("{}", "config"),
                             std::make_shared<const MemoryStore>(NamedTensors{})};
  CHECK(with_named_tower("whole", given).tensors == given.tensors);
  FolderContents described = contents_of("tower", {});
  described.config.set("vision_config", Json(Json::Object{}));
  CHECK(with_named_tower("whole", described).config.find("image_processor") == nullptr);
}

}  // namespace lv
