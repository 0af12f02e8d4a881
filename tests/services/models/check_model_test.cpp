#include "services/models/check_model.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "llm/models/models.h"
#include "services/models/families.h"
#include "tests/support/close_to.h"
#include "vision/connectors/connector.h"

namespace lv::services {
namespace {

const PartReport& part_of(const ModelReport& report, const std::string& name) {
  for (const PartReport& part : report.parts) {
    if (part.part == name) return part;
  }
  FAIL("no part " + name);
  return report.parts.front();
}

/// The tiny Llama with another text in its configuration.
ModelReport changed(const std::string& from, const std::string& to) {
  TemporaryFolder folder;
  std::filesystem::copy(data("tests/data/llm/tiny_llama"), folder.path());
  std::string text = read_file(folder / "config.json");
  REQUIRE(text.find(from) != std::string::npos);
  text.replace(text.find(from), from.size(), to);
  write_file(folder / "config.json", text);
  return check_model(folder.path());
}

}  // namespace

TEST_CASE("check_model says what a model is and what it takes") {
  const ModelReport report = check_model(data("tests/data/llm/tiny_llama"));
  CHECK(report.architecture == "LlamaForCausalLM");
  CHECK(report.family == "llama");
  CHECK(report.context_tokens == 64);
  CHECK(part_of(report, "language model").problem.empty());
  CHECK(part_of(report, "language model").misfit.empty());
  CHECK(report.disk_bytes == 2 * report.parameters);  // bfloat16
  REQUIRE(report.memory.size() == 3);
  CHECK(report.memory[1].dtype == "float32");
  CHECK(report.memory[1].weight_bytes == 4 * report.parameters);
  CHECK(report.memory[1].context_token_bytes == 2 * 2 * 2 * 8 * 4);  // k and v, layers, heads
  CHECK(report.memory[2].weight_bytes == 2 * report.parameters);
  // The fixture has weights alone.
  CHECK_FALSE(report.loads());
  CHECK_THAT(part_of(report, "tokenizer").problem, Catch::Contains("tokenizer.json"));
}

TEST_CASE("check_model lists every tensor that does not fit") {
  const ModelReport more = changed("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 4");
  CHECK(part_of(more, "language model").misfit.missing.size() == 18);  // more than an error lists
  CHECK(part_of(more, "language model").misfit.unknown.empty());
  const ModelReport fewer = changed("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  CHECK(part_of(fewer, "language model").misfit.unknown.size() > 10);
  const ModelReport wider = changed("\"intermediate_size\": 48", "\"intermediate_size\": 50");
  CHECK(part_of(wider, "language model").misfit.other_shapes.size() == 10);
  CHECK_FALSE(part_of(wider, "language model").problem.empty());
}

TEST_CASE("check_model names what it does not know") {
  const ModelReport report = changed("LlamaForCausalLM", "GiraffeForCausalLM");
  CHECK_THAT(part_of(report, "language model").problem, Catch::Contains("GiraffeForCausalLM"));
  CHECK(part_of(report, "language model").misfit.empty());
  TemporaryFolder empty;
  CHECK_THAT(part_of(check_model(empty.path()), "files").problem, Catch::Contains("config.json"));
  CHECK_THAT(part_of(check_model(empty / "none"), "files").problem, Catch::Contains("no such"));
}

TEST_CASE("check_model looks at every part of a model that sees") {
  for (const auto& entry : std::filesystem::directory_iterator(data("tests/data/whole"))) {
    if (!entry.is_directory()) continue;
    const ModelReport report = check_model(entry.path().string());
    CAPTURE(entry.path().string());
    for (const PartReport& part : report.parts) {
      CAPTURE(part.part);
      CHECK(part.problem == "");
    }
    CHECK(report.loads());
    const bool compresses = report.architecture == "LlavaLlamaVLoRAForCausalLM";
    CHECK(report.parts.size() == (compresses ? 7 : 6));
  }
}

TEST_CASE("check_model looks at the eyes beside a GGUF file") {
  const std::string path = data("tests/data/whole_gguf/smolvlm/text.gguf");
  const ModelReport report = check_model(path);
  CHECK(report.loads());
  CHECK(report.parts.size() == 6);
  CHECK(report.architecture == "SmolVLMForConditionalGeneration");
  CHECK(check_model(path, "none").parts.size() == 3);
  CHECK_THAT(part_of(check_model(path, path), "files").problem, Catch::Contains("mmproj"));
}

TEST_CASE("every architecture of the tables has a family to begin with") {
  const auto listed = [](const std::string& architecture) {
    return std::ranges::count(model_families(), architecture, &ModelFamily::architecture) == 1;
  };
  for (const std::string& name : llm::models().names()) {
    CAPTURE(name);
    CHECK(listed(name));
  }
  for (const std::string& name : vision::connectors().names()) {
    CAPTURE(name);
    // nano comes with the program, and nobody published weights of a Combiner.
    CHECK(listed(name) == (name != "NanoForConditionalGeneration" &&
                           name != "LlavaCombinerForConditionalGeneration"));
  }
}

}  // namespace lv::services
