#include "services/models/models.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "pipeline/stage/sources.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv::services {
namespace {

// tests/data/whole/make_whole.py makes it.
at::Tensor golden(const std::string& model, const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/" + model + ".safetensors"))->get(name));
}

Stages opened(const std::string& model, const std::vector<std::string>& stages) {
  WorkplaceOptions options;
  options.model = model;
  options.stages = stages;
  double load_ms = 0;
  return open_workplace(options, load_ms).stages;
}

/// The tiny model's folder without some of its files.
void copy_without(const std::string& model, const TemporaryFolder& folder,
                  const std::vector<std::string>& without) {
  for (const auto& file : std::filesystem::directory_iterator(data("tests/data/whole/" + model))) {
    const std::string name = file.path().filename().string();
    if (std::find(without.begin(), without.end(), name) != without.end()) continue;
    std::filesystem::copy_file(file.path(), folder / name);
  }
}

VisualTokens look(const Stages& stages, const std::string& model) {
  FrameBatch picture;
  picture.pixels = golden(model, "picture").unsqueeze(0);
  picture.pts_seconds = at::zeros({1}, at::kDouble);
  picture.media.kind = MediaKind::kPicture;
  return collect(*stages.encode({})->start(source_of_one(std::move(picture)))).at(0);
}

}  // namespace

TEST_CASE("a workplace of a model that sees answers about a picture as the reference does") {
  const std::string model = GENERATE(std::string("tiny_smolvlm"), std::string("tiny_llava"),
                                     std::string("tiny_onevision"));
  INFO(model);
  const Stages stages =
      opened(data("tests/data/whole/" + model), {"encode", "compress", "generate"});
  const auto compress = stages.compress({});
  const VisualContext context =
      collect(*compress->start(source_of_one(ClipTokens{look(stages, model), {}, {}}))).at(0);
  Prompt prompt;
  prompt.messages = {
      {"user", {std::get<CompressedTokens>(context), std::string("What is shown in 2 words?")}}};
  prompt.options.max_tokens = 8;
  std::string text;
  for (const TextDelta& delta : collect(*stages.generate->start(source_of_one(prompt)))) {
    text += delta.text;
    if (delta.last) CHECK(delta.prompt_tokens == golden(model, "input_ids").size(0));
  }
  CHECK(text == read_file(data("tests/data/whole/" + model + ".txt")));
}

TEST_CASE("each stage of a model that sees opens its own part alone") {
  const TemporaryFolder eyes, tongue;
  copy_without("tiny_llava", eyes, {"tokenizer.json", "tokenizer_config.json"});
  CHECK(look(opened(eyes.path(), {"encode"}), "tiny_llava").features.size(0) == 16);
  CHECK_THROWS_WITH(opened(eyes.path(), {"generate"}), Catch::Contains("tokenizer.json"));
  copy_without("tiny_llava", tongue, {"preprocessor_config.json"});
  CHECK(opened(tongue.path(), {"generate"}).generate);
  CHECK_THROWS_WITH(opened(tongue.path(), {"encode"}), Catch::Contains("preprocessor_config.json"));
}

TEST_CASE("trained eyes keep all of their tokens unless asked, others a tenth") {
  const auto report = [](const std::string& model, const std::vector<CompressionSpec>& specs) {
    const auto stage = opened(model, {"compress"}).compress(specs);
    ClipTokens clip;
    clip.visual.features = at::ones({20, 2});
    clip.visual.offsets = at::tensor({0, 20}, at::kInt);
    clip.visual.grids = {{4, 5}};
    clip.visual.origin = {at::zeros({20}, at::kDouble), at::zeros({20}, at::kInt),
                          at::zeros({20, 4}), at::ones({20}, at::kByte),
                          at::zeros({20, 2}, at::kInt)};
    const VisualContext context = collect(*stage->start(source_of_one(std::move(clip)))).at(0);
    return std::get<CompressedTokens>(context).reports.at(0);
  };
  const std::string sees = data("tests/data/whole/tiny_llava");
  CHECK(report(sees, {}).tokens_out == 20);
  CHECK(report(sees, {{"pool", {{"keep", "0.5"}}}}).method == "pool");
  const std::string blind = ".deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf";
  CHECK(report(data(blind), {}).method == "tome");
  CHECK(report(data(blind), {}).tokens_out == 2);
  CHECK(report("nano", {}).tokens_out == (is_nano_that_sees("nano") ? 10 : 2));
  CHECK(report("nano", {{"keep_all", {}}}).tokens_out == 20);
}

TEST_CASE("a method that needs attention gets it from an encoder that can tell") {
  const Stages stages = opened(data("tests/data/whole/tiny_llava"), {"encode", "compress"});
  FrameBatch picture;
  picture.pixels = golden("tiny_llava", "picture").unsqueeze(0);
  picture.pts_seconds = at::zeros({1}, at::kDouble);
  picture.media.kind = MediaKind::kPicture;
  const auto left_by = [&](const std::string& method) {
    const auto specs = parse_compression(method + ":keep=0.5");
    const VisualTokens seen =
        collect(*stages.encode(specs)->start(source_of_one(FrameBatch(picture)))).at(0);
    CHECK_NOTHROW(validate(seen));
    CHECK(seen.saliency.defined() == (method != "uniform"));
    const VisualContext context =
        collect(*stages.compress(specs)->start(source_of_one(ClipTokens{seen, {}, {}}))).at(0);
    return std::get<CompressedTokens>(context).embeddings.size(0);
  };
  for (const char* method : {"visionzip", "flashvid", "holitom", "uniform"}) {
    INFO(method);
    CHECK(left_by(method) == 8);
  }
}

TEST_CASE("a list of compressors runs in its order, a long one is refused") {
  const Stages stages = opened("nano", {"compress"});
  ClipTokens clip;
  clip.visual.features = lcg_tensor(3, {20, 2});
  clip.visual.offsets = at::tensor({0, 20}, at::kInt);
  clip.visual.grids = {{4, 5}};
  clip.visual.origin = {at::zeros({20}, at::kDouble), at::zeros({20}, at::kInt), at::zeros({20, 4}),
                        at::ones({20}, at::kByte), at::zeros({20, 2}, at::kInt)};
  const auto stage = stages.compress(parse_compression("pool:keep=0.5+tome:keep=0.4"));
  const VisualContext context = collect(*stage->start(source_of_one(std::move(clip)))).at(0);
  const auto& tokens = std::get<CompressedTokens>(context);
  REQUIRE(tokens.reports.size() == 2);
  CHECK(tokens.reports[0].method == "pool");
  CHECK(tokens.reports[1].tokens_in == tokens.reports[0].tokens_out);
  CHECK(tokens.embeddings.size(0) == tokens.reports[1].tokens_out);
  CHECK(tokens.sizes.sum().item<float>() == 20);
  CHECK_THROWS_WITH(stages.compress(std::vector<CompressionSpec>(17, {"pool", {}})),
                    Catch::Contains("at most 16 methods, got 17"));
}

}  // namespace lv::services
