// Times answers that obey a JSON schema beside free ones of the same model, through the engine, in
// turns. Prints one JSON object.
//
//   json_bench MODEL SCHEMA [key=value,...]
//   new=128 repeat=7 threads=2    tokens of an answer at most, answers of each kind
//   temperature=0

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "llm/engine/engine.h"
#include "llm/generate/language_model.h"
#include "llm/grammar/json_constraints.h"
#include "pipeline/base/error.h"
#include "pipeline/base/params.h"

namespace lv::llm {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Notes what the constraint itself takes.
class Timed : public TokenConstraint {
 public:
  Timed(std::shared_ptr<TokenConstraint> inner, std::vector<double>& step_ms)
      : inner_(std::move(inner)), step_ms_(step_ms) {}
  void mask(std::span<float> scores) override {
    const auto start = Clock::now();
    inner_->mask(scores);
    step_ms_.push_back(milliseconds_since(start));
  }
  void accept(int64_t id) override {
    const auto start = Clock::now();
    inner_->accept(id);
    step_ms_.back() += milliseconds_since(start);
  }

 private:
  std::shared_ptr<TokenConstraint> inner_;
  std::vector<double>& step_ms_;
};

struct Answer {
  std::vector<int64_t> ids;
  double step_ms = 0;  // a token behind the first
};

Answer answer(Engine& engine, const LanguageModel& model,
              std::shared_ptr<TokenConstraint> constraint, const GenerationOptions& options) {
  EngineRequest request;
  request.embeddings = model.embed_text("Describe five animals as JSON.");
  request.options = options;
  if (constraint) request.stop_ids = model.stop_ids();
  request.context_tokens = model.context_tokens();
  request.constraint = std::move(constraint);
  const auto stream = engine.start(std::move(request));
  Answer answer;
  answer.ids.push_back(stream->next().value());
  const auto start = Clock::now();
  while (const auto id = stream->next()) answer.ids.push_back(*id);
  answer.step_ms = milliseconds_since(start) / static_cast<double>(answer.ids.size() - 1);
  return answer;
}

void run(const std::string& path, const std::string& schema_file, Params params) {
  GenerationOptions options;
  options.max_tokens = params.get("new", 128);
  options.temperature = params.get("temperature", 0.0);
  const int64_t repeat = params.get("repeat", 7);
  at::set_num_threads(static_cast<int>(params.get("threads", 2)));
  params.done("json_bench");
  std::ifstream file(schema_file);
  const std::string schema(std::istreambuf_iterator<char>(file), {});
  const LanguageModelPtr model = load_language_model(path);
  const JsonConstraints json(model->tokenizer(), model->model()->shape().vocabulary,
                             model->stop_ids());
  json.make("{}");  // looks at the vocabulary
  const auto start = Clock::now();
  json.make(schema);
  const double compile_ms = milliseconds_since(start);
  Engine engine(model->model());
  answer(engine, *model, nullptr, options);
  std::vector<double> free, bound, of_constraint;
  Answer last;
  for (int64_t i = 0; i < repeat; ++i) {
    free.push_back(answer(engine, *model, nullptr, options).step_ms);
    last =
        answer(engine, *model, std::make_shared<Timed>(json.make(schema), of_constraint), options);
    bound.push_back(last.step_ms);
  }
  Json result;
  result.set("model", path);
  result.set("schema", schema_file);
  result.set("threads", at::get_num_threads());
  result.set("compile_ms", compile_ms);
  result.set("tokens", static_cast<int64_t>(last.ids.size()));
  result.set("free_step_ms", median(free));
  result.set("bound_step_ms", median(bound));
  result.set("ratio", median(bound) / median(free));
  result.set("constraint_step_ms", median(of_constraint));
  result.set("constraint_worst_ms", *std::max_element(of_constraint.begin(), of_constraint.end()));
  result.set("answer", model->tokenizer()->decode(last.ids));
  std::cout << result.dump() << "\n";
}

}  // namespace
}  // namespace lv::llm

int main(int argc, char** argv) {
  c10::InferenceMode no_autograd;
  try {
    lv::check(argc == 3 || argc == 4, lv::ErrorCode::kInvalidArgument,
              "json_bench: expected MODEL SCHEMA [key=value,...]");
    lv::llm::run(argv[1], argv[2], lv::Params::parse(argc == 4 ? argv[3] : ""));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
