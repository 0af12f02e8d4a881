#include <ATen/ATen.h>

#include <iostream>
#include <optional>

#include "apps/bench_model.h"
#include "apps/commands.h"
#include "apps/measure.h"
#include "llm/models/models.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"

namespace lv::apps {
namespace {

struct Flags {
  BenchModel model;
  std::vector<std::string> plans;
  int64_t prompt_tokens = 1024;
  int64_t new_tokens = 256;
  int64_t step_tokens = 256;
};

/// What a model says of each token of a text, and what it took.
struct Reading {
  at::Tensor log_probabilities;  // [new, V] float32 on the CPU
  int64_t kv_bytes = 0;          // after the text
  double prefill_seconds = 0;
  double decode_seconds = 0;
};

/// Reads the first `prompt` tokens in pieces and the others one by one, as if they had been chosen.
Reading read(const llm::CausalLm& model, const std::vector<int64_t>& ids, const Flags& flags) {
  const llm::ModelShape shape = model.shape();
  llm::KvStore kv(shape.kv());
  llm::StateStore states;
  llm::QueryTaps taps;
  const llm::Memory memory{kv, states, &taps};
  const llm::SequenceId sequence = kv.create();
  if (shape.tapped_rows > 0) taps.open(sequence, shape.tapped_rows);
  const at::Tensor rows = model.embed(at::tensor(ids, at::kLong));
  const auto length = static_cast<int64_t>(ids.size());
  const auto step = [&](int64_t begin, int64_t end) {
    const at::Tensor hidden =
        model.forward(llm::pack({{sequence, rows.slice(0, begin, end), begin, length}}), memory);
    model.settle(sequence, length, memory, end >= flags.prompt_tokens);
    return model.logits(hidden.slice(0, -1));
  };
  Reading reading;
  auto start = Clock::now();
  at::Tensor last;
  for (int64_t at = 0; at < flags.prompt_tokens; at += flags.step_tokens) {
    last = step(at, std::min(at + flags.step_tokens, flags.prompt_tokens));
  }
  std::vector<at::Tensor> said{last.cpu()};
  reading.prefill_seconds = seconds_since(start);
  start = Clock::now();
  for (int64_t at = flags.prompt_tokens; at + 1 < length; ++at) {
    said.push_back(step(at, at + 1).cpu());
  }
  reading.decode_seconds = seconds_since(start);
  reading.log_probabilities = at::log_softmax(at::cat(said), 1);
  reading.kv_bytes = kv.bytes();
  return reading;
}

Json row_of(const std::string& plan, const Reading& reading, const Reading& dense,
            const std::vector<int64_t>& ids, const Flags& flags) {
  const at::Tensor& said = reading.log_probabilities;
  const Agreement with_dense = agreement(dense.log_probabilities, said);
  const at::Tensor next = at::tensor(ids, at::kLong).slice(0, flags.prompt_tokens).unsqueeze(1);
  Json out;
  out.set("bench", "plan");
  out.set("model", flags.model.model);
  out.set("plan", plan);
  out.set("prompt_tokens", flags.prompt_tokens);
  out.set("new_tokens", flags.new_tokens);
  out.set("mean_kl", with_dense.kl);
  out.set("top1_agreement", with_dense.top1);
  out.set("perplexity", std::exp(-said.gather(1, next).mean().item<double>()));
  out.set("kv_bytes", reading.kv_bytes);
  out.set("kv_share", static_cast<double>(reading.kv_bytes) / static_cast<double>(dense.kv_bytes));
  out.set("prefill_tokens_per_second",
          static_cast<double>(flags.prompt_tokens) / reading.prefill_seconds);
  out.set("decode_tokens_per_second",
          static_cast<double>(flags.new_tokens - 1) / reading.decode_seconds);
  return out;
}

void run(const Flags& flags) {
  const Checkpoint checkpoint = flags.model.open();
  const auto dense_model = llm::make_model(checkpoint);
  const std::vector<int64_t> ids = flags.model.token_ids(
      checkpoint, dense_model->shape().vocabulary, flags.prompt_tokens + flags.new_tokens);
  const Reading dense = read(*dense_model, ids, flags);
  std::cout << row_of("dense", dense, dense, ids, flags).dump() << std::endl;
  for (const std::string& plan : flags.plans) {
    const auto model = llm::make_model(flags.model.open(), llm::read_plan(plan));
    std::cout << row_of(plan, read(*model, ids, flags), dense, ids, flags).dump() << std::endl;
  }
}

}  // namespace

void add_bench_plan(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "plan", "Compare plans of the language model with all keys: what they say, take and cost");
  flags->model.add_to(*command);
  command->add_option("PLAN", flags->plans, "files of JSON")->required()->check(CLI::ExistingFile);
  command->add_option("--prompt-tokens", flags->prompt_tokens, "read at once")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  command->add_option("--new-tokens", flags->new_tokens, "of the text, read one by one behind it")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--step-tokens", flags->step_tokens, "of the prompt, read in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->callback([flags] { run(*flags); });
}

}  // namespace lv::apps
