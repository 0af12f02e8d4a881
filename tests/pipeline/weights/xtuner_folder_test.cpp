#include "pipeline/weights/xtuner_folder.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "pipeline/base/error.h"
#include "pipeline/weights/model_parts.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAuroraCap = "tests/data/whole/tiny_auroracap";

void copy_folder(const std::string& from, const std::string& to) {
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

/// Puts `to` in place of `from` in a file of a copied folder.
void replace_in(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = read_file(path);
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  write_file(path, text.replace(at, from.size(), to));
}

TEST_CASE("three folders of xtuner are one checkpoint in LLaVA's layout") {
  CHECK(is_xtuner_folder(data(kAuroraCap)));
  CHECK_FALSE(is_xtuner_folder(data("tests/data/whole/tiny_llava")));
  const Checkpoint whole = open_checkpoint(data(kAuroraCap));
  CHECK(whole.architecture() == "AuroraForConditionalGeneration");
  CHECK(whole.config().at("visual_token_merge_ratio").as_double() == Approx(0.3));
  CHECK(whole.config().at("image_processor").at("crop_size").at("height").as_int() == 24);
  CHECK(whole.tensors().contains("language_model.model.layers.1.mlp.up_proj.weight"));
  CHECK(whole.tensors().contains("vision_tower.vision_model.embeddings.class_embedding"));
  CHECK(whole.tensors().contains("multi_modal_projector.linear_2.bias"));
  REQUIRE(has_vision(whole));
  CHECK(text_part(whole).config().at("hidden_size").as_int() == 16);
  const Checkpoint vision = vision_part(whole);
  CHECK(vision.architecture() == "CLIPVisionModel");
  CHECK(vision.config().at("vision_feature_layer").as_int() == -2);
  CHECK(vision.config().at("vision_feature_select_strategy").as_string() == "default");
  CHECK(shape_of(connector_part(whole).tensors().get("linear_1.weight")) ==
        std::vector<int64_t>{16, 16});
}

TEST_CASE("another encoder in xtuner's folders makes it LLaVA") {
  const TemporaryFolder folder;
  copy_folder(data(kAuroraCap), folder.path());
  replace_in(folder / "visual_encoder/config.json", "AuroraEncoder", "CLIPVisionModel");
  CHECK(open_checkpoint(folder.path()).architecture() == "LlavaForConditionalGeneration");
}

TEST_CASE(
    "without a file of its own, AuroraCap's image processor is CLIP's at the encoder's size") {
  const TemporaryFolder folder;
  copy_folder(data(kAuroraCap), folder.path());
  const std::string file = folder / "visual_encoder/preprocessor_config.json";
  const Json written = read_json_file(file);
  fs::remove(file);
  const Json config = open_checkpoint(folder.path()).config().at("image_processor");
  CHECK(config.at("size").as_int() == 24);
  CHECK(config.at("image_mean").dump() == written.at("image_mean").dump());
  CHECK(config.at("image_std").dump() == written.at("image_std").dump());
}

TEST_CASE("a projector of another depth, and one that has other tensors, are errors") {
  const TemporaryFolder deep, odd;
  copy_folder(data(kAuroraCap), deep.path());
  replace_in(deep / "projector/config.json", "\"depth\": 2", "\"depth\": 3");
  CHECK_THROWS_MATCHES(open_checkpoint(deep.path()), Error,
                       IsError(ErrorCode::kUnimplemented, "projector/config.json: depth"));
  copy_folder(data(kAuroraCap), odd.path());
  fs::copy_file(data("tests/data/whole/tiny_auroracap.safetensors"),
                odd / "projector/model.safetensors", fs::copy_options::overwrite_existing);
  CHECK_THROWS_MATCHES(text_part(open_checkpoint(odd.path())), Error,
                       IsError(ErrorCode::kInvalidArgument, "does not know"));
}

}  // namespace
}  // namespace lv
