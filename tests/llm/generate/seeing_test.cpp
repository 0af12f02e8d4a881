#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "llm/generate/generator.h"
#include "llm/generate/language_model.h"
#include "llm/generate/score.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "llm/models/worn_weights.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

const std::string kQuestion = "What is shown in 2 words?";

LanguageModelPtr tiny(const std::string& name) {
  return load_language_model(data("tests/data/whole/tiny_" + name));
}

// tests/data/whole/make_whole.py makes it.
at::Tensor golden(const std::string& model, const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/tiny_" + model + ".safetensors"))->get(name));
}

/// Tokens of one picture in tiles, `per_tile` of each, the whole last.
CompressedTokens picture(const at::Tensor& embeddings, int64_t rows, int64_t columns,
                         int64_t per_tile, int32_t source = 0) {
  std::vector<int32_t> tile;
  for (int64_t i = 0; i < rows * columns; ++i) {
    tile.push_back(static_cast<int32_t>(i / columns + 1));
    tile.push_back(static_cast<int32_t>(i % columns + 1));
  }
  tile.insert(tile.end(), {0, 0});
  const int64_t count = (rows * columns + 1) * per_tile;
  CompressedTokens tokens{embeddings.slice(0, 0, count), at::ones({count}), no_origin(), {}};
  tokens.origin = {at::zeros({count}, at::kDouble), at::full({count}, source, at::kInt),
                   at::zeros({count, 4}), at::full({count}, kObserved, at::kByte),
                   at::tensor(tile, at::kInt).view({-1, 2}).repeat_interleave(per_tile, 0)};
  return tokens;
}

/// The ids of a prompt, with the mark for each visual token.
std::vector<int64_t> ids_of(const LanguageModel& model, const Prompt& prompt) {
  std::vector<int64_t> ids;
  const int64_t mark = model.tokenizer()->id_of("<image>").value();
  for (const auto& segment : model.read(prompt).segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      const int64_t* first = text->ids.const_data_ptr<int64_t>();
      ids.insert(ids.end(), first, first + text->ids.numel());
    } else {
      ids.insert(ids.end(), std::get<CompressedTokens>(segment).embeddings.size(0), mark);
    }
  }
  return ids;
}

std::vector<int64_t> as_ids(const at::Tensor& ids) {
  const at::Tensor dense = ids.contiguous();
  return {dense.const_data_ptr<int64_t>(), dense.const_data_ptr<int64_t>() + dense.numel()};
}

Prompt prompt_of(std::vector<PromptPart> pictures) {
  Prompt prompt;
  prompt.messages = {{"user", std::move(pictures)}};
  prompt.messages[0].parts.emplace_back(kQuestion);
  return prompt;
}

}  // namespace

TEST_CASE("a prompt with pictures has the ids that the reference's processor gives it") {
  const LanguageModelPtr model = tiny("smolvlm");
  const Json cases = read_json_file(data("tests/data/whole/prompts.json"));
  CHECK(cases.as_array().size() == 5);
  for (const Json& each : cases.as_array()) {
    std::vector<PromptPart> pictures;
    const Json::Array& rows = each.at("rows").as_array();
    for (size_t i = 0; i < rows.size(); ++i) {
      pictures.emplace_back(picture(at::zeros({100, 32}), rows[i].as_int(),
                                    each.at("columns").as_array()[i].as_int(), 4,
                                    static_cast<int32_t>(i)));
    }
    Json::Array got;
    for (const int64_t id : ids_of(*model, prompt_of(std::move(pictures)))) got.emplace_back(id);
    CHECK(Json(got).dump() == each.at("ids").dump());
  }
}

TEST_CASE("a prompt with a film has the ids that the reference's processor gives it") {
  const LanguageModelPtr model = tiny("smolvlm");
  const Json cases = read_json_file(data("tests/data/vision/film_frames.json")).at("prompts");
  CHECK(cases.as_array().size() == 4);
  for (const Json& each : cases.as_array()) {
    const Json::Array& parts = each.as_array();
    std::vector<double> times;
    for (const Json& seconds : parts[0].as_array()) times.push_back(seconds.as_double());
    const auto frames = static_cast<int64_t>(times.size());
    CompressedTokens film{at::zeros({4 * frames, 32}), at::ones({4 * frames}), no_origin(), {}};
    film.origin = {at::tensor(times, at::kDouble).repeat_interleave(4),
                   at::zeros({4 * frames}, at::kInt), at::zeros({4 * frames, 4}),
                   at::full({4 * frames}, kObserved, at::kByte),
                   at::zeros({4 * frames, 2}, at::kInt)};
    const auto opening = picture_layout("SmolVLMForConditionalGeneration").film_opening;
    Json::Array got;
    for (const int64_t id :
         ids_of(*model, prompt_of({opening(frames, parts[1].as_double()), film}))) {
      got.emplace_back(id);
    }
    CHECK(Json(got).dump() == parts[2].dump());
  }
}

TEST_CASE("GGUF models with eyes write the prompts of the reference's processor") {
  for (const std::string name : {"smolvlm", "llava"}) {
    INFO(name);
    const LanguageModelPtr model =
        load_language_model(data("tests/data/whole_gguf/" + name + "/text.gguf"));
    const at::Tensor features = golden(name, "features");
    const CompressedTokens tokens =
        name == "smolvlm" ? picture(features, 2, 3, 4) : picture(features, 0, 0, features.size(0));
    CHECK(ids_of(*model, prompt_of({tokens})) == as_ids(golden(name, "input_ids")));
  }
}

TEST_CASE("a picture that is worn takes a place in the prompt and no token") {
  const LanguageModelPtr model = tiny("vlora");
  Prompt prompt = prompt_of({});
  const TokenSequence plain = model->read(prompt);
  CHECK(plain.segments.size() == 1);
  prompt.adapters = {{"model.layers.1.mlp", at::zeros({1, 32}), at::zeros({32, 1})}};
  const TokenSequence read = model->read(prompt);
  REQUIRE(read.segments.size() == 3);
  const at::Tensor before = std::get<TextTokens>(read.segments[0]).ids;
  const at::Tensor after = std::get<TextTokens>(read.segments[2]).ids;
  CHECK(std::get<CompressedTokens>(read.segments[1]).embeddings.size(0) == 0);
  CHECK(at::equal(at::cat({before, after}), golden("vlora", "input_ids")));
  const int64_t first = before.size(0), count = first + after.size(0);
  CHECK(model->embed(read).size(0) == count);
  const at::Tensor expected =
      at::cat({at::arange(first, at::kLong), at::arange(first + 1, count + 1, at::kLong)});
  CHECK(at::equal(model->positions(read), expected.unsqueeze(1)));
  CHECK(model->answer_position(read) == count);
}

TEST_CASE("score hears what a prompt wears, token by token as the engine does") {
  const std::shared_ptr<const CausalLm> model =
      make_model(open_checkpoint(data("tests/data/llm/tiny_llama")));
  const at::Tensor rows = model->embed(at::arange(5, at::kLong));
  const std::vector<int64_t> ids{7, 11, 13};
  const at::Tensor apart = at::tensor({0, 1, 4, 5, 6}, at::kLong).unsqueeze(1);
  const WornWeights worn({{"model.layers.1.mlp", lcg_tensor(1, {2, 32}), lcg_tensor(2, {32, 2})}},
                         model->shape());
  const at::Tensor got = score(*model, {rows, apart, 5, &worn}, ids).log_probabilities;
  KvStore kv(model->shape().kv());
  StateStore states;
  const SequenceId sequence = kv.create();
  at::Tensor hidden = model->forward(pack({{sequence, rows, 0, 8, apart, &worn}}), {kv, states});
  for (int64_t i = 0; i < 3; ++i) {
    const at::Tensor chances = at::log_softmax(model->logits(hidden.slice(0, -1))[0], -1);
    const int64_t id = ids[static_cast<size_t>(i)];
    CHECK_THAT(got[i], CloseTo(chances[id], 1e-4, 1e-4));
    const at::Tensor next = model->embed(at::tensor({id}, at::kLong));
    hidden = model->forward(pack({{sequence, next, 5 + i, 8, {}, &worn}}), {kv, states});
  }
  CHECK_FALSE(at::allclose(got, score(*model, {rows, apart, 5}, ids).log_probabilities));
}

TEST_CASE("a conversation about a picture that is worn is written as Vicuna's") {
  const LanguageModelPtr model = tiny("vlora");
  Prompt prompt;
  prompt.messages = {
      {"system", {"Be short."}}, {"user", {"One?"}}, {"assistant", {"Two."}}, {"user", {"Three?"}}};
  prompt.adapters = {{"model.layers.1.mlp", at::zeros({1, 32}), at::zeros({32, 1})}};
  const TokenSequence read = model->read(prompt);
  REQUIRE(read.segments.size() == 3);
  const auto text = [&](size_t i) {
    return model->tokenizer()->decode(as_ids(std::get<TextTokens>(read.segments[i]).ids));
  };
  CHECK_THAT(text(0), Catch::Contains("Be short. USER:"));
  CHECK_THAT(text(2),
             Catch::Contains("One? ASSISTANT: Two.") && Catch::Contains("USER: Three? ASSISTANT:"));
}

TEST_CASE("whole models answer about a picture as the reference does") {
  const std::string name =
      GENERATE(std::string("smolvlm"), std::string("llava"), std::string("onevision"));
  INFO(name);
  const LanguageModelPtr model = tiny(name);
  const at::Tensor features = golden(name, "features");
  const CompressedTokens tokens =
      name == "smolvlm" ? picture(features, 2, 3, 4) : picture(features, 0, 0, features.size(0));
  Prompt prompt = prompt_of({tokens});
  CHECK(ids_of(*model, prompt) == as_ids(golden(name, "input_ids")));
  prompt.options.max_tokens = 8;
  const auto stage = make_generate(model);
  const auto source = stage->start(source_of_one(prompt));
  std::string text;
  int64_t generated = 0;
  while (const auto delta = source->next()) {
    text += delta->text;
    generated += delta->generated_tokens;
  }
  CHECK(generated == 8);
  CHECK(text == model->tokenizer()->decode(as_ids(golden(name, "greedy_ids"))));
}

}  // namespace lv::llm
