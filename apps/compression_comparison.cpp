#include "apps/compression_comparison.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <set>

#include "apps/measure.h"
#include "apps/progress.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/error.h"
#include "pipeline/base/params.h"
#include "vision/compressors/compressors.h"

namespace lv::apps {
namespace {

constexpr const char* kEverything = "keep_all";

/// Reads "NAME" or "NAME:key=value,...".
Method parse_method(const std::string& text) {
  const size_t colon = text.find(':');
  Method method{text.substr(0, colon)};
  if (colon != std::string::npos) method.params = Params::parse(text.substr(colon + 1)).values();
  check(!method.params.contains("keep") && text.find('+') == std::string::npos,
        ErrorCode::kInvalidArgument,
        "--methods: expected one method without keep each, got " + text);
  return method;
}

/// A prompt and its answer in the language model, as the engine reads them.
class Reading {
 public:
  Reading(const ComparedPrompt& prompt, const llm::EngineRequest& request,
          const ComparisonFlags& flags)
      : model_(*prompt.model()), kv_(model_.shape().kv()), sequence_(kv_.create()) {
    const at::Tensor& rows = request.embeddings;
    prompt_tokens_ = rows.size(0);
    length_ = prompt_tokens_ + flags.new_tokens;
    check(length_ <= prompt.context_tokens(), ErrorCode::kOutOfRange,
          "bench compress: expected at most " + std::to_string(prompt.context_tokens()) +
              " tokens (the context), got " + std::to_string(length_) + "; look at fewer --frames");
    places_ = llm::places_of(prompt_tokens_, {request.positions, request.answer_position}, length_);
    if (request.pruning) model_.check_prunable(request.pruning->layer);
    const int64_t step_tokens = request.pruning ? prompt_tokens_ : flags.step_tokens;
    for (int64_t at = 0; at < prompt_tokens_; at += step_tokens) {
      first_ = step(rows.slice(0, at, std::min(at + step_tokens, prompt_tokens_)),
                    request.pruning ? &*request.pruning : nullptr);
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
  at::Tensor step(const at::Tensor& rows, const llm::RowPruning* pruning = nullptr) {
    llm::SequenceStep step{sequence_, rows, read_, length_};
    const int64_t end = read_ + rows.size(0);
    step.pruning = pruning;
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
  Method method;
  double keep = 1;
  std::vector<double> encode_ms = {}, compress_ms = {}, prefill_ms = {}, ttft_ms = {};
  int64_t tokens_in = 0, tokens_out = 0, prompt_tokens = 0, kv_bytes = 0;
  double fidelity = 1;
  Agreement agreement = {};  // over the answer's tokens
};

class Comparison {
 public:
  Comparison(const ComparedPrompt& prompt, const ComparisonFlags& flags)
      : prompt_(prompt), flags_(flags) {}

  void run() {
    std::vector<Case> cases = cases_of();
    answer(*measure(cases[0]));  // warms up, too
    cases[0] = Case{cases[0].method};
    Progress progress;
    std::set<std::string> left_out;
    // In turns, so that whatever else the machine does meets all of them. A GPU's first turn with
    // tokens of a new number is not like those that follow.
    const bool warms_up = !prompt_.model()->shape().device.is_cpu();
    for (int64_t turn = warms_up ? -1 : 0; turn < flags_.repeat; ++turn) {
      for (size_t i = 0; i < cases.size(); ++i) {
        const std::string& method = cases[i].method.name;
        if (left_out.contains(method)) continue;
        const auto done = static_cast<double>(std::max<int64_t>(turn, 0) * cases.size() + i);
        progress.show("measure", done / static_cast<double>(flags_.repeat * cases.size()));
        try {
          compare(*measure(cases[i]), cases[i]);
          if (turn < 0) cases[i] = Case{cases[i].method, cases[i].keep};
        } catch (const Error& problem) {
          if (problem.code() != ErrorCode::kFailedPrecondition || !flags_.methods.empty()) throw;
          progress.clear();
          std::cerr << "longview: left out: " << problem.what() << "\n";
          left_out.insert(method);
        }
      }
    }
    std::erase_if(cases, [&](const Case& one) { return left_out.contains(one.method.name); });
    progress.clear();
    for (const Case& one : cases) std::cout << row_of(one, cases[0]).dump() << std::endl;
  }

 private:
  std::vector<Case> cases_of() const {
    std::vector<Case> cases(1);
    cases[0].method.name = kEverything;
    std::vector<std::string> methods = flags_.methods;
    if (methods.empty()) methods = vision::compressors().names();
    for (const std::string& text : methods) {
      const Method method = parse_method(text);
      if (method.name == kEverything) continue;
      for (const double keep : flags_.keep) {
        Case one{method, keep};
        one.method.params["keep"] = CLI::detail::to_string(keep);
        prompt_.check_method(one.method);
        cases.push_back(std::move(one));
      }
    }
    return cases;
  }

  /// From frames to the scores of the first token.
  std::unique_ptr<Reading> measure(Case& one) const {
    auto start = Clock::now();
    VisualTokens visual = prompt_.encode(one.method, prompt_.frames());
    wait_for(visual.features);
    one.encode_ms.push_back(milliseconds_since(start));
    visual.labels.clear();  // words would tell what the tokens are to tell

    start = Clock::now();
    const VisualContext context = prompt_.compress(one.method, visual);
    const auto* left = std::get_if<CompressedTokens>(&context);
    check(left != nullptr, ErrorCode::kUnimplemented,
          "bench compress: expected a method that leaves tokens, got " + one.method.name);
    wait_for(left->embeddings);
    one.compress_ms.push_back(milliseconds_since(start));

    start = Clock::now();
    auto reading = std::make_unique<Reading>(prompt_, prompt_.read(visual, *left), flags_);
    one.prefill_ms.push_back(milliseconds_since(start));
    one.ttft_ms.push_back(one.encode_ms.back() + one.compress_ms.back() + one.prefill_ms.back());

    // What merged in the encoder reports how many tokens came.
    one.tokens_in = left->reports.empty() ? visual.features.size(0) : left->reports[0].tokens_in;
    one.tokens_out =
        left->reports.empty() ? left->embeddings.size(0) : left->reports.back().tokens_out;
    one.fidelity = left->reports.empty() ? 1 : left->reports.back().fidelity;
    one.prompt_tokens = reading->prompt_tokens();
    one.kv_bytes = reading->prompt_bytes();
    return reading;
  }

  /// Writes the answer that all others are judged by, and keeps what was thought of each token.
  void answer(Reading& everything) {
    const std::vector<int64_t> stops = prompt_.stop_ids();
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
    const Json description = prompt_.description();
    for (const auto& [key, value] : description.as_object()) out.set(key, value);
    out.set("threads", flags_.threads);
    out.set("method", one.method.name);
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

  const ComparedPrompt& prompt_;
  const ComparisonFlags& flags_;
  std::vector<int64_t> answer_;
  at::Tensor expected_;  // [n, V]
};

}  // namespace

void ComparisonFlags::add_to(CLI::App& command) {
  command.add_option("--methods", methods,
                     "NAME[:key=value,...] ...; all that need no training if none");
  command.add_option("--keep", keep, "shares of visual tokens kept, a list by commas")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1.0));
  command
      .add_option("--new-tokens", new_tokens,
                  "of the answer that all tokens lead to, at most, by which each method is judged")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command.add_option("--step-tokens", step_tokens, "of the prompt, read in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--threads", threads, "of the CPU")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--repeat", repeat, "runs, of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

void compare_methods(const ComparedPrompt& prompt, const ComparisonFlags& flags) {
  at::set_num_threads(flags.threads);
  Comparison(prompt, flags).run();
}

}  // namespace lv::apps
