#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <string>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/tensor_store.h"
#include "services/models/models.h"
#include "services/rpc/remote_stages.h"
#include "services/rpc/server.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::services {
namespace {

const std::vector<std::string> kStages{"encode", "compress", "generate"};

// tests/data/whole/make_whole.py makes it.
at::Tensor golden(const std::string& name) {
  return std::get<at::Tensor>(
      open_safetensors(data("tests/data/whole/tiny_vlora.safetensors"))->get(name));
}

Stages opened(const std::string& model) {
  WorkplaceOptions options;
  options.model = model;
  options.stages = kStages;
  double load_ms = 0;
  return open_workplace(options, load_ms).stages;
}

Stages tiny() { return opened(data("tests/data/whole/tiny_vlora")); }

ClipTokens look(const Stages& stages) {
  FrameBatch picture;
  picture.pixels = golden("picture").unsqueeze(0);
  picture.pts_seconds = at::zeros({1}, at::kDouble);
  picture.media.kind = MediaKind::kPicture;
  ClipTokens clip;
  clip.visual = collect(*stages.encode({})->start(source_of_one(std::move(picture)))).at(0);
  return clip;
}

VisualContext compressed(const Stages& stages, const std::vector<CompressionSpec>& specs) {
  return collect(*stages.compress(specs)->start(source_of_one(look(stages)))).at(0);
}

struct Answer {
  std::string text;
  int64_t prompt_tokens = 0;
};

Answer answer(const Stages& stages, const AdapterWeights& adapters) {
  Prompt prompt;
  prompt.messages = {{"user", {std::string("What is shown in 2 words?")}}};
  prompt.options.max_tokens = 8;
  prompt.adapters = adapters;
  Answer answer;
  for (const TextDelta& delta : collect(*stages.generate->start(source_of_one(prompt)))) {
    answer.text += delta.text;
    answer.prompt_tokens += delta.prompt_tokens;
  }
  return answer;
}

void answers_as_the_reference(const Stages& stages) {
  const std::vector<CompressionSpec> by_name{{"vlora", {}}};
  for (const auto& specs : {std::vector<CompressionSpec>(), by_name}) {
    const auto weights = std::get<AdapterWeights>(compressed(stages, specs));
    CHECK(weights.size() == 5);
    const Answer got = answer(stages, weights);
    CHECK(got.text == read_file(data("tests/data/whole/tiny_vlora.txt")));
    CHECK(got.prompt_tokens == golden("input_ids").size(0));
    CHECK(answer(stages, {}).text != got.text);
  }
}

}  // namespace

TEST_CASE("a workplace of a model that wears pictures answers as the reference does") {
  const Stages stages = tiny();
  CHECK_THAT(look(stages).visual.features, CloseTo(golden("features"), 1e-4, 1e-5));
  answers_as_the_reference(stages);
}

TEST_CASE("what a picture makes a model wear travels to it") {
  const Stages here = tiny();
  const Server server("", stage_services(here, kStages, std::make_shared<CallGate>()));
  Stages there;
  for (const std::string& name : kStages) {
    use_remote_stage(there, name, server.in_process_channel(), "near",
                     std::chrono::milliseconds(20'000));
  }
  answers_as_the_reference(there);
  const LowRankDelta wrong{"model.layers.7.mlp", at::zeros({1, 32}), at::zeros({32, 1})};
  CHECK_THROWS_MATCHES(answer(there, {wrong}), Error,
                       IsError(ErrorCode::kInvalidArgument, "adapter 'model.layers.7.mlp'"));
}

TEST_CASE("a model that wears pictures reads no tokens of them") {
  const Stages stages = tiny();
  Prompt prompt;
  prompt.messages = {
      {"user", {std::get<CompressedTokens>(compressed(stages, {{"pool", {{"keep", "0.5"}}}}))}}};
  CHECK_THROWS_MATCHES(stages.generate->start(source_of_one(prompt))->next(), Error,
                       IsError(ErrorCode::kInvalidArgument, "wears pictures as weights"));
}

TEST_CASE("other models have no weights to wear") {
  const Stages stages = opened(data("tests/data/whole/tiny_llava"));
  CHECK_THROWS_MATCHES(stages.compress({{"vlora", {}}}), Error,
                       IsError(ErrorCode::kFailedPrecondition, "tiny_llava has none"));
  const Stages nano = [] {
    WorkplaceOptions options;
    options.stages = {"compress"};
    double load_ms = 0;
    return open_workplace(options, load_ms).stages;
  }();
  CHECK_THROWS_MATCHES(nano.compress({{"vlora", {}}}), Error,
                       IsError(ErrorCode::kFailedPrecondition, "nano has none"));
}

}  // namespace lv::services
