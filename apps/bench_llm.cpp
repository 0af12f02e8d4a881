#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <random>
#include <thread>

#include "apps/bench_model.h"
#include "apps/commands.h"
#include "apps/measure.h"
#include "apps/roofline.h"
#include "llm/engine/engine.h"
#include "llm/models/models.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"

namespace lv::apps {
namespace {

struct Flags {
  BenchModel model;
  std::vector<int64_t> prompt_tokens = {512};
  std::vector<int64_t> batch = {1};
  int64_t new_tokens = 64;
  int64_t step_tokens = 0;
  int64_t repeat = 5;
  std::string plan;
  int64_t requests = 0;
  double rate = 1;
  int64_t shared_tokens = 0;
  int64_t draft_tokens = 0;
};

/// What one token costs, from the checkpoint's headers.
struct Cost {
  double weights = 0;       // numbers multiplied for each token of a prompt
  double head_weights = 0;  // and for each token that is chosen
  double bytes = 0;         // of both, as they are read

  static Cost of(const Checkpoint& checkpoint, const llm::ModelShape& shape) {
    Cost cost;
    const TensorStore& tensors = checkpoint.tensors();
    const bool tied = !tensors.contains("lm_head.weight");
    for (const std::string& name : tensors.names()) {
      double count = 1;
      for (const int64_t size : tensors.shape(name)) count *= static_cast<double>(size);
      const bool head = name == "lm_head.weight" || (tied && name.find("embed") != name.npos);
      if (!head && name.find("layers.") == name.npos) continue;
      (head ? cost.head_weights : cost.weights) += count;
      const ElementType type = tensors.type(name);
      if (const auto* blocks = std::get_if<BlockFormat>(&type); blocks && shape.device.is_cpu()) {
        const BlockLayout layout = layout_of(*blocks);
        cost.bytes +=
            count / static_cast<double>(layout.weights) * static_cast<double>(layout.bytes);
      } else {
        const bool dense = std::holds_alternative<at::ScalarType>(type) && shape.device.is_cpu();
        cost.bytes += count * static_cast<double>(c10::elementSize(
                                  dense ? std::get<at::ScalarType>(type) : shape.dtype));
      }
    }
    return cost;
  }
};

class Bench {
 public:
  explicit Bench(const Flags& flags)
      : flags_(flags),
        checkpoint_(flags.model.open()),
        model_(llm::make_model(checkpoint_,
                               flags.plan.empty() ? llm::LayerPlan{} : llm::read_plan(flags.plan))),
        shape_(model_->shape()),
        cost_(Cost::of(checkpoint_, shape_)) {}

  void run() {
    for (const int64_t prompt : flags_.prompt_tokens) {
      for (const int64_t batch : flags_.batch) report(prompt, batch);
      if (flags_.requests > 0) report_load(prompt);
    }
  }

 private:
  llm::EngineLimits limits(int64_t prompt, int64_t batch) const {
    llm::EngineLimits limits;
    if (flags_.step_tokens > 0) limits.step_tokens = flags_.step_tokens;
    limits.max_sequences = std::max<int64_t>(batch, 1);
    limits.kv_tokens = batch * (prompt + 8 * flags_.new_tokens + 64);
    limits.draft_tokens = flags_.draft_tokens;
    return limits;
  }

  llm::EngineRequest request(int64_t prompt, int64_t answer, int64_t seed) const {
    const std::vector<int64_t> ids =
        flags_.model.token_ids(checkpoint_, shape_.vocabulary, prompt, seed);
    llm::EngineRequest request;
    request.embeddings = model_->embed(at::tensor(ids, at::kLong));
    request.prompt_ids = ids;
    request.options.max_tokens = answer;
    request.context_tokens = prompt + answer;
    return request;
  }

  struct Timing {
    double prefill_seconds = 0;
    double decode_seconds = 0;  // of new_tokens - 1 steps of the whole batch
    std::vector<int64_t> ids;   // of the last answer
  };

  /// All prompts at once; the clock of decoding starts when the last one is read, and everybody
  /// writes until it stops.
  Timing time_once(llm::Engine& engine, int64_t prompt, int64_t batch, int64_t count) const {
    std::vector<llm::EngineRequest> requests;
    for (int64_t i = 0; i < batch; ++i) {
      requests.push_back(request(prompt, i + 1 == batch ? count : 8 * count + 64, i));
    }
    Timing timing;
    auto start = Clock::now();
    std::vector<std::unique_ptr<llm::TokenStream>> streams;
    for (auto& asked : requests) streams.push_back(engine.start(std::move(asked)));
    timing.ids.push_back(streams.back()->next().value());
    timing.prefill_seconds = seconds_since(start);
    start = Clock::now();
    while (const auto id = streams.back()->next()) timing.ids.push_back(*id);
    timing.decode_seconds = seconds_since(start);
    return timing;
  }

  Json head(const char* what, int64_t prompt) const {
    Json out;
    out.set("bench", what);
    out.set("model", flags_.model.model);
    out.set("device", flags_.model.device);
    out.set("threads", flags_.model.threads);
    out.set("prompt_tokens", prompt);
    out.set("new_tokens", flags_.new_tokens);
    return out;
  }

  void report(int64_t prompt, int64_t batch) {
    llm::Engine engine(model_, limits(prompt, batch));
    time_once(engine, std::min<int64_t>(prompt, 32), 1, 4);
    std::vector<double> prefill, decode;
    Timing last;
    for (int64_t i = 0; i < flags_.repeat; ++i) {
      last = time_once(engine, prompt, batch, flags_.new_tokens);
      prefill.push_back(static_cast<double>(prompt * batch) / last.prefill_seconds);
      if (last.ids.size() > 1) {
        decode.push_back(static_cast<double>(last.ids.size() - 1) * static_cast<double>(batch) /
                         last.decode_seconds);
      }
    }
    const double prefill_rate = quantile(prefill, 0.5);
    const int64_t peak = peak_bytes(shape_.device);  // of the first line, without what follows
    if (!roof_) roof_ = measure_roofline(shape_.device, shape_.dtype);
    // Each query of a prompt meets half of its keys.
    const double operations =
        2 * cost_.weights +
        2.0 * static_cast<double>(shape_.layers * shape_.heads * shape_.head_size * prompt);
    Json out = head("llm", prompt);
    out.set("batch", batch);
    out.set("prefill_tokens_per_second", prefill_rate);
    out.set("prefill_roofline_share", prefill_rate * operations / roof_->operations_per_second);
    if (!decode.empty()) {
      const double rate = quantile(decode, 0.5);
      const double bytes = cost_.bytes + static_cast<double>(batch * shape_.kv().token_bytes() *
                                                             (prompt + flags_.new_tokens / 2));
      out.set("decode_tokens_per_second", rate);
      out.set("roofline_share",
              rate / static_cast<double>(batch) * bytes / roof_->bytes_per_second);
    }
    out.set("kv_bytes_per_token", shape_.kv().token_bytes());
    out.set("peak_memory_bytes", peak);
    const llm::EngineStats stats = engine.stats();
    if (stats.drafted_tokens > 0) {
      out.set("drafted_tokens", stats.drafted_tokens);
      out.set("accepted_tokens", stats.accepted_tokens);
    }
    out.set("memory_bytes_per_second", roof_->bytes_per_second);
    out.set("operations_per_second", roof_->operations_per_second);
    if (batch == 1) out.set("ids", Json::Array(last.ids.begin(), last.ids.end()));
    std::cout << out.dump() << std::endl;
  }

  /// Prompts that begin alike come one by one, at times that do not look at one another.
  void report_load(int64_t prompt) {
    check(flags_.shared_tokens <= prompt, ErrorCode::kInvalidArgument,
          "--shared-tokens: expected at most the prompt's " + std::to_string(prompt));
    llm::Engine engine(model_, limits(prompt, 32));
    std::mt19937_64 random(1);
    std::exponential_distribution<double> pause(flags_.rate);
    std::vector<double> first_token, token_gap;
    std::vector<std::thread> readers;
    std::mutex mutex;
    int64_t cached = 0;
    const std::vector<int64_t> shared =
        flags_.model.token_ids(checkpoint_, shape_.vocabulary, flags_.shared_tokens);
    const auto start = Clock::now();
    for (int64_t i = 0; i < flags_.requests; ++i) {
      llm::EngineRequest asked = request(prompt, flags_.new_tokens, i + 1);
      std::copy(shared.begin(), shared.end(), asked.prompt_ids.begin());
      asked.embeddings = model_->embed(at::tensor(asked.prompt_ids, at::kLong));
      asked.row_keys.assign(asked.prompt_ids.begin(), asked.prompt_ids.end());
      std::this_thread::sleep_for(std::chrono::duration<double>(pause(random)));
      readers.emplace_back([&, request = std::move(asked)]() mutable {
        const auto asked_at = Clock::now();
        const auto stream = engine.start(std::move(request));
        stream->next();
        const double first = seconds_since(asked_at);
        int64_t count = 0;
        while (stream->next()) ++count;
        const double gap =
            (seconds_since(asked_at) - first) / static_cast<double>(std::max<int64_t>(count, 1));
        const std::lock_guard lock(mutex);
        first_token.push_back(first);
        token_gap.push_back(gap);
        cached += stream->cached_tokens();
      });
    }
    for (std::thread& reader : readers) reader.join();
    const double seconds = seconds_since(start);
    Json out = head("load", prompt);
    out.set("requests", flags_.requests);
    out.set("requests_per_second", flags_.rate);
    out.set("shared_tokens", flags_.shared_tokens);
    out.set("cached_tokens", cached);
    out.set("new_tokens_per_second",
            static_cast<double>(flags_.requests * flags_.new_tokens) / seconds);
    out.set("first_token_seconds_p50", quantile(first_token, 0.5));
    out.set("first_token_seconds_p95", quantile(first_token, 0.95));
    out.set("token_gap_seconds_p50", quantile(token_gap, 0.5));
    out.set("preemptions", engine.stats().preemptions);
    out.set("peak_memory_bytes", peak_bytes(shape_.device));
    std::cout << out.dump() << std::endl;
  }

  const Flags& flags_;
  Checkpoint checkpoint_;
  std::shared_ptr<const llm::CausalLm> model_;
  llm::ModelShape shape_;
  Cost cost_;
  std::optional<Roofline> roof_;
};

}  // namespace

void add_bench_llm(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "llm", "Time the language engine: prompts, answers, and requests that come as they please");
  flags->model.add_to(*command);
  command->add_option("--plan", flags->plan, "what the layers see and keep, a file of JSON");
  command->add_option("--prompt-tokens", flags->prompt_tokens, "of each prompt, a list by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 24));
  command->add_option("--batch", flags->batch, "prompts at the same time, a list by commas")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096));
  command->add_option("--new-tokens", flags->new_tokens, "of each answer")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--step-tokens", flags->step_tokens, "of prompts read in one step")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--draft-tokens", flags->draft_tokens, "guessed from the text so far")
      ->check(CLI::Range(1, 64));
  command->add_option("--repeat", flags->repeat, "runs, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  auto* load = command->add_option_group("load", "Requests that come by themselves");
  load->add_option("--requests", flags->requests, "how many; 0 for none")
      ->check(CLI::Range(0, 100000));
  load->add_option("--rate", flags->rate, "a second, on average")->check(CLI::Range(1e-3, 1e6));
  load->add_option("--shared-tokens", flags->shared_tokens, "that all prompts begin with")
      ->check(CLI::NonNegativeNumber);
  command->callback([flags] { Bench(*flags).run(); });
}

}  // namespace lv::apps
