#include "services/models/nano.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llm/generate/generator.h"
#include "llm/generate/language_model.h"
#include "llm/kv/state_store.h"
#include "llm/models/packed_batch.h"
#include "pipeline/stage/sources.h"
#include "services/tasks/clip.h"
#include "services/tasks/scene.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"
#include "tests/support/memory_store.h"
#include "vision/compressors/trained.h"
#include "vision/connectors/classwords.h"
#include "vision/encoders/load_eyes.h"

namespace lv::services {
namespace {

constexpr int64_t kStep = 42, kLogitStep = 64;  // of the rows and scores that are kept
constexpr int64_t kSquare = 8, kSide = 28, kTimes = 4;

// tests/data/nano/make_parity.py makes it, of the same numbers.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/nano/parity.safetensors"))->get(name));
}

const Json& about() {
  static const Json json = read_json_file(data("tests/data/nano/parity.json"));
  return json;
}

/// What training changes, of numbers of the golden tests' generator.
NamedTensors numbers() {
  NamedTensors tensors;
  uint32_t seed = 1000;
  for (const Json& entry : about().at("trained").as_array()) {
    const Json::Array& parts = entry.as_array();
    std::vector<int64_t> shape;
    for (const Json& size : parts[1].as_array()) shape.push_back(size.as_int());
    tensors[parts[0].as_string()] =
        lcg_tensor(seed++, shape) * parts[2].as_double() + parts[3].as_double();
  }
  return tensors;
}

NanoFiles files_of(NamedTensors trained) {
  return {data(".deps/models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"),
          data(".deps/models/efficientnet-lite0"),
          std::make_shared<const MemoryStore>(std::move(trained)),
          data("models/nano/imagenet_classes.txt")};
}

const Checkpoint& nano() {
  static const Checkpoint checkpoint = open_nano(files_of(numbers()));
  return checkpoint;
}

/// The generator's films of coloured squares, one a view.
std::vector<FrameBatch> films(const std::vector<std::string>& views) {
  const auto count = static_cast<int64_t>(views.size());
  const auto seed = static_cast<uint32_t>(about().at("seed").as_int());
  const at::Tensor squares =
      ((lcg_tensor(seed, {count, kTimes, kSide, kSide, 3}) + 1) * 127).to(at::kByte);
  std::vector<FrameBatch> all;
  for (int64_t v = 0; v < count; ++v) {
    FrameBatch film;
    film.pixels = squares[v].repeat_interleave(kSquare, 1).repeat_interleave(kSquare, 2);
    film.pts_seconds = 7 + 0.4 * at::arange(kTimes, at::kDouble);
    film.media = {MediaKind::kVideo, 9, kSquare * kSide, kSquare * kSide};
    film.source = static_cast<int32_t>(v);
    film.view = views[static_cast<size_t>(v)];
    all.push_back(std::move(film));
  }
  return all;
}

VisualTokens seen(const std::vector<std::string>& views) {
  vision::EncodeParts parts = vision::load_eyes(nano());
  parts.class_names = vision::read_class_names(data("models/nano/imagenet_classes.txt"));
  return joined(collect(*vision::make_encode(parts)->start(source_of(films(views)))));
}

at::Tensor spaced(const at::Tensor& rows) {
  return at::slice(rows, 0, 0, rows.size(0), kStep).to(at::kFloat);
}

void check_close(const at::Tensor& got, const at::Tensor& expected, double share) {
  CHECK_THAT(got, CloseTo(expected, 0, share * expected.abs().max().item<double>()));
}

/// Scores of the answer's first token.
at::Tensor logits(const llm::LanguageModel& model, const Prompt& prompt) {
  const TokenSequence sequence = model.read(prompt);
  llm::KvStore kv(model.model()->shape().kv());
  llm::StateStore states;
  const at::Tensor rows = model.embed(sequence);
  const at::Tensor hidden =
      model.model()->forward(llm::pack({{kv.create(), rows, 0, rows.size(0)}}), {kv, states});
  return model.model()->logits(hidden.slice(0, -1))[0];
}

std::vector<int64_t> ids_of(const TokenSequence& sequence) {
  std::vector<at::Tensor> ids;
  for (const auto& segment : sequence.segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) ids.push_back(text->ids);
  }
  const at::Tensor all = at::cat(ids);
  return {all.const_data_ptr<int64_t>(), all.const_data_ptr<int64_t>() + all.numel()};
}

TextDelta answer(const llm::LanguageModelPtr& model, Prompt prompt) {
  std::string text;
  prompt.options.max_tokens = 24;
  const auto generate = llm::make_generate(model);
  const auto deltas = generate->start(source_of_one(std::move(prompt)));
  TextDelta last;
  while (auto delta = deltas->next()) {
    text += delta->text;
    last = std::move(*delta);
  }
  last.text = text;
  return last;
}

struct Case {
  std::string name;
  std::vector<std::string> views;
  std::string question, said, keep;
};

TEST_CASE("nano computes what its recipe's model computes, from pictures to words", "[models]") {
  const Case one{"one", {"front"}, "What happens?", "Mind the step.", "0.5"};
  const Case three{"three", {"front", "front left", "rear"}, "Assess the risk.", "", "0.25"};
  const Case given = GENERATE_COPY(one, three);
  const Json& expected = about().at(given.name);
  const bool several = given.views.size() > 1;

  const VisualTokens visual = seen(given.views);
  check_close(spaced(visual.features), golden(given.name + ".tokens"), 1e-3);

  const auto model = llm::load_language_model(nano());
  ClipTokens clip{visual, {}, {}};
  if (several) clip.question = model->embed_text(given.question);
  std::map<std::string, std::string> params{{"keep", given.keep}};
  if (!several) params["over"] = "clip";
  const VisualContext left =
      vision::make_compressor(several ? "interactor" : "tome", Params(params),
                              vision::load_own_compressor(nano()))
          ->map(clip);
  const auto& tokens = std::get<CompressedTokens>(left);
  check_close(spaced(tokens.embeddings), golden(given.name + ".left"), 1e-3);

  TaskResult result;
  for (size_t i = 0; i < given.views.size(); ++i) {
    result.sources.push_back({given.views[i], {MediaKind::kVideo, 9, 224, 224}});
  }
  if (!given.said.empty()) result.transcript = {{7, 8, given.said}};
  const Scene scene = whole_clip(scenes_of(result, visual, tokens), visual, tokens);
  std::vector<std::string> names;
  for (const Json& name : expected.at("names").as_array()) names.push_back(name.as_string());
  CHECK(scene.labels == names);
  Prompt prompt;
  prompt.messages = {message_about_clip(scene, given.question)};

  const at::Tensor ids = golden(given.name + ".ids");
  CHECK(ids_of(model->read(prompt)) ==
        std::vector<int64_t>(ids.const_data_ptr<int64_t>(),
                             ids.const_data_ptr<int64_t>() + ids.numel()));
  // Quantised matrices are multiplied in integers of 16 bits.
  const at::Tensor scores = logits(*model, prompt);
  check_close(at::slice(scores, 0, 0, scores.size(0), kLogitStep), golden(given.name + ".logits"),
              5e-3);
  const auto rows_of = [](const Json& json) {
    std::vector<int64_t> rows;
    for (const Json& row : json.as_array()) rows.push_back(row.as_int());
    return rows;
  };
  prompt.pointing = Pointing{};
  const TextDelta said = answer(model, prompt);
  CHECK(said.text == expected.at("text").as_string());
  REQUIRE(said.pointed);
  CHECK(said.pointed->rows == rows_of(expected.at("pointed")));
  CHECK(said.pointed->confidence == Approx(expected.at("sure").as_double()).epsilon(0.03));
  const auto& text = std::get<std::string>(prompt.messages.front().parts.back());
  for (const Json& cell : expected.at("cells").as_array()) {
    const auto begin = static_cast<int64_t>(text.find(cell.as_string()));
    const auto size = static_cast<int64_t>(cell.as_string().size());
    prompt.pointing->cells.push_back({begin, begin + size});
  }
  const TextDelta read = answer(model, prompt);
  REQUIRE(read.pointed);
  CHECK(read.pointed->rows == rows_of(expected.at("cells_pointed")));
  CHECK(read.pointed->confidence == Approx(expected.at("sure_of_cells").as_double()).epsilon(0.03));
}

TEST_CASE("nano says what is not its own", "[models]") {
  for (const char* name : {"language.layers.0.q_proj", "language.layers.0.parts.q_proj.side"}) {
    CHECK_THROWS_MATCHES(open_nano(files_of({{name, at::zeros({1})}})), Error,
                         IsError(ErrorCode::kInvalidArgument, name));
  }
  NamedTensors more = numbers();
  more["connector.more"] = at::zeros({1});
  CHECK_THROWS_MATCHES(vision::load_eyes(open_nano(files_of(more))), Error,
                       IsError(ErrorCode::kInvalidArgument, "more"));
  NamedTensors less = numbers();
  less.erase("language.layers.7.parts.up_proj.up");
  CHECK_THROWS_MATCHES(llm::load_language_model(open_nano(files_of(less))), Error,
                       IsError(ErrorCode::kInvalidArgument, "up_proj.adapter.up.weight"));
}

TEST_CASE("nano's question is embedded as its language model embeds it", "[models]") {
  const auto embed = nano_embedder(files_of({}).language_model);
  const auto model = llm::load_language_model(nano());
  CHECK(at::equal(embed("Assess the risk."), model->embed_text("Assess the risk.")));
}

}  // namespace
}  // namespace lv::services
