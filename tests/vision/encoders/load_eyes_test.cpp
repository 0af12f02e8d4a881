#include "vision/encoders/load_eyes.h"

#include <ATen/ATen.h>

#include <filesystem>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv::vision {
namespace {

// tests/data/whole/make_whole.py makes it.
at::Tensor golden(const std::string& model, const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/" + model + ".safetensors"))->get(name));
}

VisualTokens encoded(const Stage<FrameBatch, VisualTokens>& stage, const at::Tensor& frames,
                     MediaKind kind) {
  FrameBatch batch;
  batch.pixels = frames;
  batch.pts_seconds = at::arange(frames.size(0), at::kDouble);
  batch.media.kind = kind;
  return joined(collect(*stage.start(source_of_one(std::move(batch)))));
}

VisualTokens seen(const std::string& model, MediaKind kind) {
  const auto stage = make_encode(load_eyes(open_checkpoint(data("tests/data/whole/" + model))));
  return encoded(*stage, golden(model, "picture").unsqueeze(0), kind);
}

TEST_CASE("the eyes of whole models see what the reference sees") {
  const std::string model = GENERATE(std::string("tiny_smolvlm"), std::string("tiny_llava"),
                                     std::string("tiny_onevision"), std::string("tiny_idefics2"),
                                     std::string("tiny_leopard"));
  INFO(model);
  const VisualTokens tokens = seen(model, MediaKind::kPicture);
  CHECK_NOTHROW(validate(tokens));
  CHECK_THAT(tokens.features, CloseTo(golden(model, "features"), 1e-4, 1e-5));
}

TEST_CASE("the eyes of models of picture sets see two pictures as the reference does") {
  const std::string model = GENERATE(std::string("tiny_idefics2"), std::string("tiny_leopard"));
  INFO(model);
  const auto stage = make_encode(load_eyes(open_checkpoint(data("tests/data/whole/" + model))));
  std::vector<FrameBatch> batches;
  for (const char* name : {"picture", "other_picture"}) {
    batches.push_back({golden(model, name).unsqueeze(0),
                       at::zeros({1}, at::kDouble),
                       {MediaKind::kPicture},
                       {},
                       static_cast<int32_t>(batches.size())});
  }
  const VisualTokens tokens = joined(collect(*stage->start(source_of(std::move(batches)))));
  CHECK_NOTHROW(validate(tokens));
  CHECK_THAT(tokens.features, CloseTo(golden(model, "set_features"), 1e-4, 1e-5));
}

TEST_CASE("Idefics2's tokens have no place in the picture, LEOPARD's have, the whole first") {
  const VisualTokens perceived = seen("tiny_idefics2", MediaKind::kPicture);
  REQUIRE(perceived.grids.size() == 5);
  CHECK(perceived.grids[0].rows == 0);
  CHECK(at::equal(perceived.origin.tile[4], at::tensor({1, 2}, at::kInt)));
  CHECK_THAT(perceived.origin.box[0], CloseTo(at::tensor({0.f, 0.f, .5f, 22.f / 45})));
  CHECK(at::equal(perceived.origin.box[19], at::tensor({0.f, 0.f, 1.f, 1.f})));
  const VisualTokens leopard = seen("tiny_leopard", MediaKind::kPicture);
  REQUIRE(leopard.grids.size() == 3);
  CHECK(at::equal(leopard.origin.tile.slice(0, 0, 12, 4),
                  at::tensor({0, 0, 1, 1, 1, 2}, at::kInt).view({3, 2})));
  CHECK(at::equal(leopard.origin.box[0], at::tensor({0.f, 0.f, .5f, .5f})));
  CHECK(seen("tiny_leopard", MediaKind::kVideo).grids.size() == 1);
}

TEST_CASE("SmolVLM's eyes cut pictures into tiles, frames of films not") {
  const VisualTokens picture = seen("tiny_smolvlm", MediaKind::kPicture);
  REQUIRE(picture.grids.size() == 7);
  CHECK(picture.grids[0].rows == 2);
  CHECK(at::equal(picture.origin.tile[4], at::tensor({1, 2}, at::kInt)));
  CHECK(at::equal(picture.origin.tile[24], at::tensor({0, 0}, at::kInt)));
  const VisualTokens frame = seen("tiny_smolvlm", MediaKind::kVideo);
  CHECK(frame.features.size(0) == 4);
  CHECK(at::equal(frame.origin.tile, at::zeros({4, 2}, at::kInt)));
}

TEST_CASE("Idefics3's encoder spreads its positions over smaller pictures") {
  const auto parts = load_eyes(open_checkpoint(data("tests/data/whole/tiny_smolvlm")));
  const PictureFeatures got = parts.encoder->encode(golden("small_picture", "pixels"));
  CHECK(got.grid.rows == 2);
  CHECK(got.grid.columns == 3);
  CHECK_THAT(got.features, CloseTo(golden("small_picture", "features"), 1e-4, 1e-5));
}

TEST_CASE("LLaVA-OneVision's eyes put tiles together, with a token after each row") {
  const auto stage =
      make_encode(load_eyes(open_checkpoint(data("tests/data/whole/tiny_onevision"))));
  for (const char* const i : {"0", "1", "2", "3", "4"}) {
    INFO(i);
    const std::string number = i;
    const VisualTokens tokens =
        encoded(*stage, golden("onevision_pictures", "picture_" + number).unsqueeze(0),
                MediaKind::kPicture);
    CHECK_NOTHROW(validate(tokens));
    // The reference puts the whole picture first, too.
    CHECK_THAT(tokens.features,
               CloseTo(golden("onevision_pictures", "features_" + number), 1e-4, 1e-5));
    REQUIRE(tokens.grids.size() == 2);
    CHECK(tokens.grids[0].rows * tokens.grids[0].columns +
              tokens.grids[1].rows * tokens.grids[1].columns ==
          tokens.features.size(0));
    CHECK(
        (tokens.origin.box.slice(1, 0, 2) <= tokens.origin.box.slice(1, 2, 4)).all().item<bool>());
    CHECK(at::equal(tokens.origin.box[-1],
                    at::tensor({1.f, tokens.origin.box[-1][1].item<float>(), 1.f, 1.f})));
  }
  const VisualTokens film =
      encoded(*stage, golden("onevision_pictures", "film"), MediaKind::kVideo);
  CHECK_THAT(film.features, CloseTo(golden("onevision_pictures", "film_features"), 1e-4, 1e-5));
  CHECK(film.grids.size() == 3);
  CHECK(at::equal(film.origin.pts_seconds.slice(0, 3),
                  at::tensor({0., 1., 1., 1., 1., 1.}, at::kDouble)));
}

TEST_CASE("a model that sees nothing has no eyes, nor one without a processor") {
  CHECK_THROWS_WITH(load_eyes(open_checkpoint(data("tests/data/llm/tiny_llama"))),
                    Catch::Contains("no part that sees"));
  TemporaryFolder folder;
  const std::string from = data("tests/data/whole/tiny_llava");
  for (const char* file : {"/config.json", "/model.safetensors"}) {
    std::filesystem::copy_file(from + file, folder / (file + 1));
  }
  CHECK_THROWS_WITH(load_eyes(open_checkpoint(folder.path())),
                    Catch::Contains("preprocessor_config.json"));
  // The whole processor's file may hold it.
  const Json own = read_json_file(from + "/preprocessor_config.json");
  write_file(folder / "processor_config.json", "{\"image_processor\": " + own.dump() + "}");
  CHECK_NOTHROW(load_eyes(open_checkpoint(folder.path())));
}

}  // namespace
}  // namespace lv::vision
