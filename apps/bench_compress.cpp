#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apps/commands.h"
#include "apps/flags.h"
#include "apps/measure.h"
#include "apps/progress.h"
#include "llm/engine/engine.h"
#include "llm/generate/language_model.h"
#include "llm/models/packed_batch.h"
#include "llm/template/picture_layout.h"
#include "pipeline/base/error.h"
#include "pipeline/base/json.h"
#include "pipeline/stage/sources.h"
#include "pipeline/weights/checkpoint.h"
#include "services/models/models.h"
#include "services/tasks/clip.h"
#include "services/tasks/scene.h"
#include "vision/compressors/compressors.h"

namespace lv::apps {
namespace {

constexpr const char* kEverything = "keep_all";

/// Waits until `values` are there; a GPU is asked for one of them.
void wait_for(const at::Tensor& values) {
  if (values.numel() > 0) values.flatten().slice(0, 0, 1).cpu();
}

struct Flags {
  ModelFlags model;
  SamplingFlags sampling;
  std::string input;
  std::vector<std::string> methods;
  std::vector<double> keep = {1, 0.5, 0.25, 0.1, 0.05};
  std::string question = "Describe what is shown in one sentence.";
  int64_t new_tokens = 32;
  int64_t step_tokens = llm::EngineLimits().step_tokens;
  int threads = 2;
  int64_t repeat = 3;
};

/// A prompt and its answer in the language model, as the engine reads them.
class Reading {
 public:
  Reading(const llm::LanguageModel& language, const Prompt& prompt, const Flags& flags)
      : model_(*language.model()), kv_(model_.shape().kv()), sequence_(kv_.create()) {
    const TokenSequence tokens = language.read(prompt);
    const at::Tensor rows = language.embed(tokens);
    prompt_tokens_ = rows.size(0);
    length_ = prompt_tokens_ + flags.new_tokens;
    check(length_ <= language.context_tokens(), ErrorCode::kOutOfRange,
          "bench compress: expected at most " + std::to_string(language.context_tokens()) +
              " tokens (the context), got " + std::to_string(length_) + "; look at fewer --frames");
    places_ = llm::places_of(
        prompt_tokens_, {language.positions(tokens), language.answer_position(tokens)}, length_);
    for (int64_t at = 0; at < prompt_tokens_; at += flags.step_tokens) {
      first_ = step(rows.slice(0, at, std::min(at + flags.step_tokens, prompt_tokens_)));
    }
    first_ = model_.logits(first_.slice(0, -1));
    wait_for(first_);
    prompt_bytes_ = kv_.bytes();
  }

  int64_t prompt_tokens() const { return prompt_tokens_; }
  int64_t prompt_bytes() const { return prompt_bytes_; }  // of keys and values

  /// Of the answer's first token: [1, V].
  const at::Tensor& first() const { return first_; }

  /// Scores of what comes after each of `ids`: [n, V].
  at::Tensor after(const std::vector<int64_t>& ids) {
    return model_.logits(step(model_.embed(at::tensor(ids, at::kLong))));
  }

 private:
  at::Tensor step(const at::Tensor& rows) {
    llm::SequenceStep step{sequence_, rows, read_, length_};
    const int64_t end = read_ + rows.size(0);
    if (places_.defined()) step.positions = places_.slice(0, read_, end);
    const at::Tensor hidden = model_.forward(llm::pack({step}), {kv_, states_});
    model_.settle(sequence_, length_, {kv_, states_}, end >= prompt_tokens_);
    read_ = end;
    return hidden;
  }

  const llm::CausalLm& model_;
  llm::KvStore kv_;
  llm::StateStore states_;
  llm::SequenceId sequence_;
  at::Tensor places_;
  at::Tensor first_;
  int64_t prompt_tokens_ = 0;
  int64_t prompt_bytes_ = 0;
  int64_t length_ = 0;
  int64_t read_ = 0;  // rows so far
};

/// A method at a share, and what its runs measured.
struct Case {
  services::CompressionSpec spec;
  double keep = 1;
  std::vector<double> encode_ms = {}, compress_ms = {}, prefill_ms = {}, ttft_ms = {};
  int64_t tokens_in = 0, tokens_out = 0, prompt_tokens = 0, kv_bytes = 0;
  double fidelity = 1;
  Agreement agreement = {};  // over the answer's tokens
};

class Bench {
 public:
  explicit Bench(const Flags& flags)
      : flags_(flags),
        workplace_(services::open_workplace(flags.model.workplace({"decode", "encode", "compress"}),
                                            load_ms_)) {
    const services::WorkplaceOptions options = flags.model.workplace({});
    const Checkpoint checkpoint = open_checkpoint(services::language_checkpoint(options.model),
                                                  options.placement, options.projector);
    language_ = llm::load_language_model(checkpoint, options.plan);
    workplace_.stages.films.opening = llm::picture_layout(checkpoint.architecture()).film_opening;
    decode();
  }

  void run() {
    std::vector<Case> cases = cases_of();
    const std::unique_ptr<Reading> everything = measure(cases[0]);  // warms up, too
    answer(*everything);
    cases[0] = Case{cases[0].spec};
    Progress progress;
    std::set<std::string> left_out;
    // In turns, so that whatever else the machine does meets all of them.
    for (int64_t turn = 0; turn < flags_.repeat; ++turn) {
      for (size_t i = 0; i < cases.size(); ++i) {
        const std::string& method = cases[i].spec.method;
        if (left_out.contains(method)) continue;
        progress.show("measure", static_cast<double>(turn * cases.size() + i) /
                                     static_cast<double>(flags_.repeat * cases.size()));
        try {
          compare(*measure(cases[i]), cases[i]);
        } catch (const Error& problem) {
          if (problem.code() != ErrorCode::kFailedPrecondition || !flags_.methods.empty()) throw;
          progress.clear();
          std::cerr << "longview: left out: " << problem.what() << "\n";
          left_out.insert(method);
        }
      }
    }
    std::erase_if(cases, [&](const Case& one) { return left_out.contains(one.spec.method); });
    progress.clear();
    for (const Case& one : cases) std::cout << row_of(one, cases[0]).dump() << std::endl;
  }

 private:
  std::vector<Case> cases_of() const {
    std::vector<Case> cases(1);
    cases[0].spec.method = kEverything;
    std::vector<std::string> methods = flags_.methods;
    if (methods.empty()) methods = vision::compressors().names();
    for (const std::string& text : methods) {
      const auto specs = services::parse_compression(text);
      check(specs.size() == 1 && !specs[0].params.contains("keep"), ErrorCode::kInvalidArgument,
            "--methods: expected one method without keep each, got " + text);
      if (specs[0].method == kEverything) continue;
      for (const double keep : flags_.keep) {
        Case one{specs[0], keep};
        one.spec.params["keep"] = CLI::detail::to_string(keep);
        workplace_.stages.compress({one.spec});  // what cannot be made is said now
        cases.push_back(std::move(one));
      }
    }
    return cases;
  }

  void decode() {
    MediaRequest request = media_request(
        flags_.input.empty() ? services::sample_clip() : flags_.input, flags_.sampling.sampling());
    request.sampling.rule = workplace_.stages.films.chosen(request.sampling.rule);
    seen_.sources.push_back({request.name, {}});
    frames_ = collect(*workplace_.stages.decode_video->start(source_of_one<MediaRequest>(request)));
    for (const FrameBatch& batch : frames_) {
      seen_.sources[0].media = batch.media;
      const at::Tensor pts = batch.pts_seconds.contiguous();
      for (int64_t t = 0; t < pts.size(0); ++t) {
        seen_.sampling.push_back({0, pts.const_data_ptr<double>()[t]});
      }
    }
  }

  /// From frames to the scores of the first token.
  std::unique_ptr<Reading> measure(Case& one) const {
    auto start = Clock::now();
    VisualTokens visual =
        services::joined(collect(*workplace_.stages.encode({one.spec})->start(source_of(frames_))));
    wait_for(visual.features);
    one.encode_ms.push_back(milliseconds_since(start));
    visual.labels.clear();  // words would tell what the tokens are to tell

    start = Clock::now();
    const auto compress = workplace_.stages.compress({one.spec});
    const auto contexts =
        collect(*compress->start(source_of_one(ClipTokens{visual, std::nullopt, std::nullopt})));
    const auto* left = std::get_if<CompressedTokens>(&contexts.at(0));
    check(left != nullptr, ErrorCode::kUnimplemented,
          "bench compress: expected a method that leaves tokens, got " + one.spec.method);
    wait_for(left->embeddings);
    one.compress_ms.push_back(milliseconds_since(start));

    start = Clock::now();
    Prompt prompt;
    prompt.messages.push_back(services::message_about(services::scenes_of(seen_, visual, *left),
                                                      flags_.question, workplace_.stages.films));
    auto reading = std::make_unique<Reading>(*language_, prompt, flags_);
    one.prefill_ms.push_back(milliseconds_since(start));
    one.ttft_ms.push_back(one.encode_ms.back() + one.compress_ms.back() + one.prefill_ms.back());

    // What merged in the encoder reports how many tokens came.
    one.tokens_in = left->reports.empty() ? visual.features.size(0) : left->reports[0].tokens_in;
    one.tokens_out = left->embeddings.size(0);
    one.fidelity = left->reports.empty() ? 1 : left->reports.back().fidelity;
    one.prompt_tokens = reading->prompt_tokens();
    one.kv_bytes = reading->prompt_bytes();
    return reading;
  }

  /// Writes the answer that all others are judged by, and keeps what was thought of each token.
  void answer(Reading& everything) {
    const std::vector<int64_t>& stops = language_->stop_ids();
    at::Tensor logits = everything.first();
    while (static_cast<int64_t>(answer_.size()) < flags_.new_tokens) {
      answer_.push_back(logits.argmax(1).item<int64_t>());
      if (std::ranges::find(stops, answer_.back()) != stops.end()) break;
      if (static_cast<int64_t>(answer_.size()) < flags_.new_tokens) {
        logits = everything.after({answer_.back()});
      }
    }
  }

  /// Natural logarithms for each token of the answer, given those before it: [n, V].
  at::Tensor judged(Reading& reading) const {
    std::vector<at::Tensor> scores{reading.first()};
    if (answer_.size() > 1) scores.push_back(reading.after({answer_.begin(), answer_.end() - 1}));
    return at::log_softmax(at::cat(scores), 1);
  }

  /// The first to be judged is what nothing was left out of.
  void compare(Reading& reading, Case& one) {
    const at::Tensor q = judged(reading);
    if (!expected_.defined()) expected_ = q;
    one.agreement = agreement(expected_, q);
  }

  Json row_of(const Case& one, const Case& everything) const {
    Json out;
    out.set("bench", "compress");
    out.set("model", flags_.model.model);
    out.set("device", flags_.model.device);
    out.set("threads", flags_.threads);
    out.set("frames", static_cast<int64_t>(seen_.sampling.size()));
    out.set("method", one.spec.method);
    out.set("keep", one.keep);
    out.set("tokens_in", one.tokens_in);
    out.set("tokens_out", one.tokens_out);
    out.set("prompt_tokens", one.prompt_tokens);
    out.set("new_tokens", static_cast<int64_t>(answer_.size()));
    out.set("encode_ms", quantile(one.encode_ms, 0.5));
    out.set("compress_ms", quantile(one.compress_ms, 0.5));
    out.set("prefill_ms", quantile(one.prefill_ms, 0.5));
    out.set("ttft_ms", quantile(one.ttft_ms, 0.5));
    out.set("ttft_share", quantile(one.ttft_ms, 0.5) / quantile(everything.ttft_ms, 0.5));
    out.set("kv_bytes", one.kv_bytes);
    out.set("fidelity", one.fidelity);
    out.set("kl", one.agreement.kl);
    out.set("top1", one.agreement.top1);
    return out;
  }

  const Flags& flags_;
  double load_ms_ = 0;
  services::Workplace workplace_;
  llm::LanguageModelPtr language_;
  std::vector<FrameBatch> frames_;
  services::TaskResult seen_;  // times and kind of what was decoded
  std::vector<int64_t> answer_;
  at::Tensor expected_;  // [n, V]
};

}  // namespace

void add_bench_compress(CLI::App& bench) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = bench.add_subcommand(
      "compress", "Compare methods that leave fewer visual tokens with keeping all of them");
  command->add_option("--input", flags->input, "a video or picture; the sample clip if none");
  flags->sampling.add_to(*command);
  command->add_option("--methods", flags->methods,
                      "NAME[:key=value,...] ...; all that need no training if none");
  command->add_option("--keep", flags->keep, "shares of visual tokens kept, a list by commas")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--question", flags->question, "what is asked")->capture_default_str();
  command
      ->add_option("--new-tokens", flags->new_tokens,
                   "of the answer that all tokens lead to, at most, by which each method is judged")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command->add_option("--step-tokens", flags->step_tokens, "of the prompt, read in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "of the CPU")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--repeat", flags->repeat, "runs, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  flags->model.add_to(*command);
  command->callback([flags] {
    at::set_num_threads(flags->threads);
    Bench(*flags).run();
  });
}

}  // namespace lv::apps
