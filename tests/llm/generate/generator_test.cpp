#include "llm/generate/generator.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cmath>
#include <string>
#include <vector>

#include "llm/generate/score.h"
#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "tests/support/close_to.h"

namespace lv::llm {
namespace {

LanguageModelPtr smollm2() {
  static const LanguageModelPtr model = load_language_model(
      data(".deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"));
  return model;
}

/// Remembers no prompt: products with quantised weights round their input, and what is read in
/// other steps comes out as other bits, which decides near ties.
const Stage<Prompt, TextDelta>& generate() {
  static const StagePtr<Prompt, TextDelta> stage = make_generate(smollm2(), {.cached_tokens = 0});
  return *stage;
}

Prompt prompt_of(const std::string& text, int64_t max_tokens) {
  Prompt prompt;
  prompt.messages = {{"user", {text}}};
  prompt.options.max_tokens = max_tokens;
  return prompt;
}

struct Result {
  std::string text;
  TextDelta last;
};

Result answer(const Prompt& prompt) {
  const auto source = generate().start(source_of_one(prompt));
  Result result;
  for (const TextDelta& delta : collect(*source)) {
    result.text += delta.text;
    result.last = delta;
  }
  return result;
}

CompressedTokens visual_tokens(int64_t count, int64_t width) {
  CompressedTokens tokens;
  tokens.embeddings = lcg_tensor(1, {count, width}) * 0.1;
  tokens.sizes = at::ones({count});
  tokens.origin = {at::zeros({count}, at::kDouble), at::zeros({count}, at::kInt),
                   at::zeros({count, 4}), at::ones({count}, at::kByte),
                   at::zeros({count, 2}, at::kInt)};
  return tokens;
}

}  // namespace

TEST_CASE("generate answers a question and says what it took") {
  const Result got = answer(prompt_of("What is the capital of France? One word.", 12));
  CHECK_THAT(got.text, Catch::Contains("Paris"));
  CHECK(got.last.last);
  CHECK(got.last.finish == FinishReason::kStop);
  CHECK(got.last.prompt_tokens > 10);
  CHECK(got.last.generated_tokens > 0);
}

TEST_CASE("generate ends after max_tokens") {
  const Result got = answer(prompt_of("Tell me a story.", 5));
  CHECK(got.last.finish == FinishReason::kLength);
  CHECK(got.last.generated_tokens == 5);
}

TEST_CASE("generate ends before a stop word") {
  const std::string whole = answer(prompt_of("Tell me a story.", 12)).text;
  Prompt prompt = prompt_of("Tell me a story.", 12);
  const std::string stop = whole.substr(whole.size() / 2, 4);
  prompt.options.stop = {"never said", stop};
  const Result got = answer(prompt);
  CHECK(got.text == whole.substr(0, whole.find(stop)));
  CHECK(got.last.finish == FinishReason::kStop);
}

TEST_CASE("generate answers the prompts of a stream in order, and streams side by side") {
  const std::vector<Prompt> prompts{prompt_of("Count to five.", 6), prompt_of("Say hello.", 6)};
  const auto both = generate().start(source_of(prompts));
  const auto other = generate().start(source_of_one(prompts[1]));
  std::vector<std::string> texts(2);
  std::string beside;
  while (const auto delta = both->next()) {
    texts.at(static_cast<size_t>(delta->sequence)) += delta->text;
    if (const auto more = other->next()) beside += more->text;
  }
  while (const auto more = other->next()) beside += more->text;
  CHECK(texts[0] == answer(prompts[0]).text);
  CHECK(texts[1] == answer(prompts[1]).text);
  CHECK(beside == texts[1]);
}

TEST_CASE("generate draws the same answer from the same seed") {
  Prompt prompt = prompt_of("Name an animal.", 8);
  prompt.options.temperature = 1;
  prompt.options.seed = 3;
  CHECK(answer(prompt).text == answer(prompt).text);
}

TEST_CASE("generate answers in JSON that obeys a schema, each stream its own, beside free ones") {
  Prompt free = prompt_of("Name an animal and its colour.", 12);
  free.options.temperature = 1;
  const std::string before = answer(free).text;
  const std::vector<std::string> schemas{
      R"({"properties": {"animal": {"enum": ["cat", "crow"]}, "legs": {"type": "integer", "maximum": 9,
          "minimum": 0}}, "required": ["animal", "legs"]})",
      R"({"type": "array", "items": {"type": "boolean"}, "maxItems": 3})"};
  std::vector<SourcePtr<TextDelta>> streams;
  for (const std::string& schema : schemas) {
    Prompt prompt = prompt_of("Name an animal and count its legs, in JSON.", 30);
    prompt.options.temperature = 1;
    prompt.options.json_schema = schema;
    streams.push_back(generate().start(source_of_one(prompt)));
  }
  streams.push_back(generate().start(source_of_one(free)));
  std::vector<std::string> texts;
  for (const auto& stream : streams) {
    texts.emplace_back();
    for (const TextDelta& delta : collect(*stream)) {
      texts.back() += delta.text;
      if (delta.last && texts.size() < 3) CHECK(delta.finish == FinishReason::kStop);
    }
  }
  INFO(texts[0] << "\n" << texts[1]);
  const Json animal = parse_json(texts[0], "answer");
  CHECK((animal.at("animal") == "cat" || animal.at("animal") == "crow"));
  CHECK((animal.at("legs").as_int() >= 0 && animal.at("legs").as_int() <= 9));
  const Json list = parse_json(texts[1], "answer");
  for (const Json& item : list.as_array()) CHECK(item.is_bool());
  CHECK(texts[2] == before);
}

TEST_CASE("generate says when max_tokens cut JSON off, and what it cannot obey") {
  Prompt prompt = prompt_of("Count.", 4);
  prompt.options.json_schema = R"({"type": "array", "items": {"type": "integer"}, "minItems": 9})";
  const Result cut = answer(prompt);
  CHECK(cut.last.finish == FinishReason::kLength);
  CHECK_THROWS(parse_json(cut.text, "answer"));
  prompt.options.json_schema = R"({"enum": []})";
  CHECK_THROWS_WITH(answer(prompt), Catch::Contains("json_schema: #: enum"));
}

TEST_CASE("generate reads visual tokens where they stand") {
  Prompt prompt = prompt_of("What is this?", 3);
  const int64_t without = answer(prompt).last.prompt_tokens;
  prompt.messages[0].parts = {visual_tokens(7, smollm2()->width()), std::string("What is this?")};
  CHECK(answer(prompt).last.prompt_tokens == without + 7);
  const TokenSequence read = smollm2()->read(prompt);
  REQUIRE(read.segments.size() == 3);
  CHECK(std::holds_alternative<CompressedTokens>(read.segments[1]));
  prompt.messages[0].parts[0] = visual_tokens(7, 5);
  CHECK_THROWS_WITH(answer(prompt), Catch::Contains("compressed.embeddings"));
}

TEST_CASE("generate does not read again what began an earlier prompt") {
  const StagePtr<Prompt, TextDelta> stage = make_generate(smollm2());
  const auto ask = [&](const CompressedTokens& tokens, const char* question) {
    Prompt prompt = prompt_of("", 4);
    prompt.messages[0].parts = {tokens, std::string(question)};
    Result result;
    for (const TextDelta& delta : collect(*stage->start(source_of_one(prompt)))) {
      result.text += delta.text;
      result.last = delta;
    }
    CHECK(result.text == answer(prompt).text);
    return result.last.cached_tokens;
  };
  CompressedTokens film = visual_tokens(80, smollm2()->width());
  CHECK(ask(film, "What is this?") == 0);
  const int64_t known = ask(film, "Who is there?");
  CHECK(known >= 80);
  film.embeddings = film.embeddings.clone();
  film.embeddings[50][3] += 0.5;
  const int64_t before = ask(film, "Who is there?");
  CHECK(before >= 32);
  CHECK(before < known);
}

TEST_CASE("generate does not take special tokens from a user") {
  const TokenSequence read = smollm2()->read(prompt_of("<|im_end|>", 1));
  const at::Tensor ids = std::get<TextTokens>(read.segments.at(0)).ids;
  const int64_t end = smollm2()->tokenizer()->id_of("<|im_end|>").value();
  // The template closes the system message and the user's; the user's own words close nothing.
  const TokenSequence plain = smollm2()->read(prompt_of("hello", 1));
  const at::Tensor plain_ids = std::get<TextTokens>(plain.segments.at(0)).ids;
  CHECK((ids == end).sum().item<int64_t>() == (plain_ids == end).sum().item<int64_t>());
}

TEST_CASE("a prompt's tools and calls reach the template, and nothing special in them the model") {
  LanguageModel::Parts parts;
  parts.name = "tools";
  parts.model = smollm2()->model();
  parts.tokenizer = smollm2()->tokenizer();
  parts.context_tokens = 99;
  Prompt prompt = prompt_of("Time?", 1);
  prompt.tools = {Json::Object{{"name", "<|im_end|>"}}};
  prompt.messages.push_back({"assistant", {}, {{"", "f", Json::Object{{"a", "<|im_end|>"}}}}});
  CHECK_THROWS_WITH(LanguageModel(parts).read(prompt), Catch::StartsWith("prompt.tools"));
  parts.chat_template = std::make_shared<const ChatTemplate>(
      "{{ tools | tojson }}{{ messages[1].tool_calls | tojson }}<|im_end|>", "", "");
  const TokenSequence sequence = LanguageModel(parts).read(prompt);
  REQUIRE(sequence.segments.size() == 1);
  const at::Tensor ids = std::get<TextTokens>(sequence.segments[0]).ids;
  CHECK((ids == *parts.tokenizer->id_of("<|im_end|>")).sum().item<int64_t>() == 1);
  const int64_t* first = ids.const_data_ptr<int64_t>();
  CHECK(parts.tokenizer->decode({first, first + ids.numel()}) ==
        R"([{"name": "<|im_end|>"}][{"type": "function", "function": {"name": "f", "arguments": )"
        R"({"a": "<|im_end|>"}}}])");
}

TEST_CASE("generate refuses what it cannot do") {
  Prompt prompt = prompt_of("Hello", 1);
  prompt.adapters = {{"model.layers.0.mlp.up_proj", at::zeros({1, 576}), at::zeros({1536, 1})}};
  CHECK_THROWS_WITH(answer(prompt), Catch::Contains("adapter 'model.layers.0.mlp.up_proj'"));
  prompt.adapters = {{"model.layers.0.mlp", at::full({1, 576}, NAN), at::zeros({576, 1})}};
  CHECK_THROWS_WITH(answer(prompt), Catch::Contains("adapter.down: expected finite numbers"));
  std::string text;
  for (int i = 0; i < 9000; ++i) text += "word ";
  CHECK_THROWS_WITH(answer(prompt_of(text, 1)), Catch::Contains("(the context)"));
  CHECK_THROWS_WITH(answer(Prompt{}), Catch::Contains("messages"));
}

TEST_CASE("generate answers with what a prompt wears, and the next one without") {
  const Prompt plain = prompt_of("Tell me a story.", 6);
  Prompt worn = plain;
  worn.adapters = {
      {"model.layers.3.mlp", lcg_tensor(1, {4, 576}), lcg_tensor(2, {576, 4})},
      {"model.layers.5.self_attn.q_proj", lcg_tensor(3, {4, 576}), lcg_tensor(4, {576, 4})}};
  const std::string before = answer(plain).text;
  const std::string other = answer(worn).text;
  CHECK(other != before);
  CHECK(answer(worn).text == other);
  CHECK(answer(plain).text == before);
  for (LowRankDelta& delta : worn.adapters) delta.up = at::zeros_like(delta.up);
  CHECK(answer(worn).text == before);
}

TEST_CASE("generate lets go of an answer at once") {
  auto source = generate().start(source_of_one(prompt_of("Tell me a very long story.", 2000)));
  source->next();
  const auto start = std::chrono::steady_clock::now();
  source.reset();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(200));
}

TEST_CASE("score is highest for what the model would say") {
  const Prompt prompt = prompt_of("What is the capital of France? One word.", 4);
  const Score paris = score(*smollm2(), prompt, "Paris");
  const Score rome = score(*smollm2(), prompt, "Rome");
  CHECK(paris.log_probabilities.size(0) == static_cast<int64_t>(paris.ids.size()));
  CHECK((paris.log_probabilities <= 0).all().item<bool>());
  CHECK(paris.log_probabilities[0].item<float>() > rome.log_probabilities[0].item<float>());
}

TEST_CASE("score equals the logits of one pass") {
  const Score got = score_text(*smollm2(), "The quick brown fox jumps over the lazy dog.");
  const Score again = score(*smollm2()->model(), {smollm2()->embed_text("The")}, got.ids);
  CHECK_THAT(again.log_probabilities, CloseTo(got.log_probabilities));
  // "dog" after all of that is all but certain.
  const auto dog = smollm2()->tokenizer()->encode(" dog");
  REQUIRE(got.ids.at(got.ids.size() - 2) == dog.at(0));
  const auto n = got.log_probabilities.size(0);
  CHECK(got.log_probabilities[n - 2].item<float>() > -0.5);
  CHECK_THROWS_WITH(score_text(*smollm2(), ""), Catch::Contains("some text"));
}

TEST_CASE("language model gives the embeddings of words") {
  const at::Tensor rows = smollm2()->embed_text("tabby cat");
  const at::Tensor means = smollm2()->embed_texts({"tabby cat", "", "dog"});
  CHECK(means.sizes() == at::IntArrayRef({3, 576}));
  CHECK_THAT(means[0], CloseTo(rows.mean(0)));
  CHECK(at::equal(means[1], at::zeros({576})));
}

}  // namespace lv::llm
