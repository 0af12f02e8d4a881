#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "llm/generate/language_model.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/models/models.h"
#include "services/rpc/remote_stages.h"
#include "services/rpc/server.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::services {
namespace {

at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/tiny_auroracap.safetensors"))->get(name));
}

Stages opened(const std::string& model, const std::vector<std::string>& stages) {
  WorkplaceOptions options;
  options.model = data("tests/data/whole/" + model);
  options.stages = stages;
  double load_ms = 0;
  return open_workplace(options, load_ms).stages;
}

/// What is left of the golden film once it is encoded and compressed.
CompressedTokens left_of_film(const Stages& stages, const std::vector<CompressionSpec>& specs) {
  FrameBatch film;
  film.pixels = golden("film");
  film.pts_seconds = at::arange(3, at::kDouble);
  film.media.kind = MediaKind::kVideo;
  ClipTokens clip;
  clip.visual = collect(*stages.encode(specs)->start(source_of_one(std::move(film)))).at(0);
  const auto compress = stages.compress(specs);
  return std::get<CompressedTokens>(
      collect(*compress->start(source_of_one(std::move(clip)))).at(0));
}

}  // namespace

TEST_CASE("AuroraCap in xtuner's folders answers about a film as the reference does") {
  const Stages stages = opened("tiny_auroracap", {"encode", "compress", "generate"});
  const CompressedTokens tokens = left_of_film(stages, {});
  CHECK_THAT(tokens.embeddings, CloseTo(golden("features"), 1e-4, 1e-5));
  CHECK(tokens.sizes.sum().item<float>() == 108);
  CHECK(tokens.reports.at(0).method == "tome");
  Prompt prompt;
  prompt.messages = {{"user", {tokens, std::string("\nWhat is shown?")}}};
  prompt.options.max_tokens = 12;
  std::string text;
  for (const TextDelta& delta : collect(*stages.generate->start(source_of_one(prompt)))) {
    text += delta.text;
    if (delta.last) CHECK(delta.prompt_tokens == golden("input_ids").size(0) + 54);
  }
  const auto model = llm::load_language_model(data("tests/data/whole/tiny_auroracap"));
  const at::Tensor ids = golden("greedy_ids");
  const int64_t* first = ids.const_data_ptr<int64_t>();
  CHECK(text == model->tokenizer()->decode({first, first + ids.size(0)}, true));
}

TEST_CASE("one request says how much merges, between the layers or after them, near or far") {
  const Stages near = opened("tiny_auroracap", {"encode", "compress"});
  const Server server("0",
                      stage_services(near, {"encode", "compress"}, std::make_shared<CallGate>()));
  Stages far;
  for (const char* name : {"encode", "compress"}) {
    use_remote_stage(far, name, server.in_process_channel(), "near", std::chrono::seconds(20));
  }
  for (const Stages& stages : {near, far}) {
    const CompressedTokens layers = left_of_film(stages, {{"tome", {{"keep", "0.5"}}}});
    CHECK(layers.embeddings.size(0) == 3 * 24);
    CHECK(layers.sizes.sum().item<float>() == 108);
    REQUIRE(layers.reports.size() == 1);
    CHECK(layers.reports[0].tokens_in == 108);
    CHECK(layers.reports[0].tokens_out == 72);
    const CompressedTokens after =
        left_of_film(stages, {{"tome", {{"keep", "0.5"}, {"at", "tokens"}}}});
    CHECK(after.embeddings.size(0) == 54);
    CHECK(after.sizes.sum().item<float>() == 108);
    REQUIRE(after.reports.size() == 1);
    const CompressedTokens twice =
        left_of_film(stages, {{"tome", {{"keep", "0.5"}}}, {"tome", {{"keep", "0.5"}}}});
    CHECK(twice.embeddings.size(0) == 36);
    CHECK(twice.sizes.sum().item<float>() == 108);
    CHECK(twice.reports.size() == 2);
    CHECK(left_of_film(stages, {{"keep_all", {}}}).embeddings.size(0) == 108);
  }
}

TEST_CASE("a model whose connector needs the grid merges afterwards, or says why it cannot") {
  const Stages stages = opened("tiny_smolvlm", {"encode", "compress"});
  const CompressedTokens tokens = left_of_film(stages, {{"tome", {{"keep", "0.5"}}}});
  CHECK(tokens.reports.at(0).tokens_in == 12);
  CHECK(tokens.embeddings.size(0) == 6);
  CHECK_THROWS_MATCHES(left_of_film(stages, {{"tome", {{"keep", "0.5"}, {"at", "layers"}}}}), Error,
                       IsError(ErrorCode::kUnimplemented, "tome.at: tokens cannot merge"));
}

}  // namespace lv::services
