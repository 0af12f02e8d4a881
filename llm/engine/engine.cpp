#include "llm/engine/engine.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "llm/engine/run.h"
#include "llm/engine/scheduler.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"

namespace lv::llm {
namespace {

constexpr std::chrono::milliseconds kBetweenQuestions{20};

}  // namespace

class Engine::Loop {
 public:
  Loop(std::shared_ptr<const CausalLm> model, const EngineLimits& limits)
      : model_(std::move(model)),
        shape_(model_->shape()),
        max_waiting_(limits.max_waiting),
        scheduler_(model_, limits),
        thread_([this] { work(); }) {}

  ~Loop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    work_.notify_all();
    thread_.join();
  }

  const CausalLm& model() const { return *model_; }
  const ModelShape& shape() const { return shape_; }
  bool guesses() const { return scheduler_.draft_tokens() > 0; }
  int64_t capacity_tokens() const { return scheduler_.capacity_tokens(); }

  void submit(RunPtr run) {
    {
      std::lock_guard lock(mutex_);
      const auto waiting = stats_.waiting + static_cast<int64_t>(arrivals_.size());
      check(waiting < max_waiting_, ErrorCode::kResourceExhausted,
            "engine: " + std::to_string(waiting) + " prompts are waiting already");
      arrivals_.push_back(std::move(run));
    }
    work_.notify_all();
  }

  void cancel(Run& run) {
    {
      std::lock_guard lock(mutex_);
      run.cancelled = true;
    }
    work_.notify_all();
  }

  std::optional<int64_t> take(Run& run) {
    std::unique_lock lock(mutex_);
    const auto come = [&] { return !run.ready.empty() || run.ended; };
    // The step under way may be a long one, of others too.
    while (!run.changed.wait_for(lock, kBetweenQuestions, come)) check_cancelled();
    if (run.ready.empty()) {
      if (run.problem) std::rethrow_exception(run.problem);
      return std::nullopt;
    }
    const int64_t id = run.ready.front();
    run.ready.pop_front();
    return id;
  }

  int64_t cached_of(const Run& run) {
    std::lock_guard lock(mutex_);
    return run.cached;
  }

  EngineStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }

  FinishReason finish_of(const Run& run) {
    std::lock_guard lock(mutex_);
    return run.ended && run.ready.empty() ? run.finish : FinishReason::kNone;
  }

 private:
  void work() {
    c10::InferenceMode no_autograd;
    while (wait()) step();
  }

  /// Waits for something to do; false when the engine goes.
  bool wait() {
    std::unique_lock lock(mutex_);
    for (;;) {
      for (RunPtr& run : arrivals_) scheduler_.add(std::move(run));
      arrivals_.clear();
      scheduler_.turn([](const Run& run) { return run.cancelled || run.ended; });
      stats_ = scheduler_.stats();
      if (stopped_ || !scheduler_.running().empty()) return !stopped_;
      work_.wait(lock);
    }
  }

  bool abandoned(const std::vector<RunPtr>& runs) {
    std::lock_guard lock(mutex_);
    return stopped_ ||
           std::all_of(runs.begin(), runs.end(), [](const RunPtr& run) { return run->cancelled; });
  }

  void step() {
    Scheduler::Step step;
    try {
      step = scheduler_.plan();
      const CancelScope scope(Cancellation().with([&] { return abandoned(step.runs); }));
      const at::Tensor hidden = model_->forward(pack(step.pieces), scheduler_.memory());  // [n, D]
      choose(step, hidden);
      for (const RunPtr& run : step.runs) scheduler_.settle(*run);
    } catch (...) {
      for (const RunPtr& run : step.runs) end(*run, FinishReason::kNone, std::current_exception());
    }
  }

  /// A token for each run that has no row left to read.
  void choose(const Scheduler::Step& step, const at::Tensor& hidden) {
    std::vector<std::pair<RunPtr, int64_t>> choices;  // with the first row of its scores
    std::vector<int64_t> rows;
    int64_t row = 0;
    for (size_t i = 0; i < step.runs.size(); ++i) {
      const RunPtr& run = step.runs[i];
      const int64_t count = step.pieces[i].embeddings.size(0);
      row += count;
      scheduler_.was_read(*run, count);
      if (run->unread() > 0) continue;
      choices.emplace_back(run, static_cast<int64_t>(rows.size()));
      for (int64_t r = row - 1 - static_cast<int64_t>(run->draft.size()); r < row; ++r) {
        rows.push_back(r);
      }
    }
    if (choices.empty()) return;
    const bool all = static_cast<int64_t>(rows.size()) == hidden.size(0);
    const at::Tensor last = all ? hidden : hidden.index_select(0, sent(rows, hidden.device()));
    const Scores scores = scores_of(last, choices);
    for (const auto& [run, first] : choices) choose_tokens(*run, scores, first);
  }

  /// What is known on the host of the next tokens after some rows.
  struct Scores {
    at::Tensor logits;   // [rows, V], or undefined if nobody wants more than
    at::Tensor largest;  // [rows, 2] float64: the largest and its id
  };

  /// A device that is not the host's finds the largest itself, if that is all that is asked for.
  Scores scores_of(const at::Tensor& hidden,
                   const std::vector<std::pair<RunPtr, int64_t>>& choices) const {
    const at::Tensor logits = model_->logits(hidden);
    const bool largest = std::ranges::all_of(
        choices, [](const auto& choice) { return choice.first->sampler.takes_largest(); });
    if (logits.is_cpu() || !largest) return {logits.cpu(), {}};
    const auto [score, id] = logits.max(1);
    return {{}, at::stack({score.to(at::kDouble), id.to(at::kDouble)}, 1).cpu()};
  }

  /// Chooses a token after each row in turn, as long as the draft has the same one. What is drawn
  /// is what would be drawn without a draft, at any temperature: a guess is right with the
  /// probability that the model gives it, as speculative sampling wants (arXiv 2211.17192, section
  /// 2.3).
  void choose_tokens(Run& run, const Scores& scores, int64_t row) {
    size_t accepted = 0;
    while (choose_token(run, scores, row + static_cast<int64_t>(accepted)) &&
           accepted < run.draft.size() && run.answer.back() == run.draft[accepted]) {
      ++accepted;
      ++run.length;
    }
    scheduler_.was_guessed(static_cast<int64_t>(run.draft.size()), static_cast<int64_t>(accepted));
  }

  /// False if the answer ended.
  bool choose_token(Run& run, const Scores& scores, int64_t row) {
    int64_t id = 0;
    try {
      if (scores.logits.defined()) {
        id = run.sampler.next(scores.logits[row]);
      } else {
        const auto* found = scores.largest.const_data_ptr<double>() + 2 * row;
        id = run.sampler.take(static_cast<int64_t>(found[1]), found[0]);
      }
    } catch (...) {
      end(run, FinishReason::kNone, std::current_exception());
      return false;
    }
    const auto& stops = run.request.stop_ids;
    if (std::find(stops.begin(), stops.end(), id) != stops.end()) {
      end(run, FinishReason::kStop, nullptr);
      return false;
    }
    run.answer.push_back(id);
    if (guesses()) run.guesses.observe({id});
    {
      std::lock_guard lock(mutex_);
      run.ready.push_back(id);
    }
    run.changed.notify_all();
    if (run.known() < run.planned_length) return true;
    end(run, FinishReason::kLength, nullptr);
    return false;
  }

  void end(Run& run, FinishReason reason, std::exception_ptr problem) {
    {
      std::lock_guard lock(mutex_);
      run.ended = true;
      run.finish = reason;
      run.problem = std::move(problem);
    }
    run.changed.notify_all();
  }

  const std::shared_ptr<const CausalLm> model_;
  const ModelShape shape_;
  const int64_t max_waiting_;
  Scheduler scheduler_;  // of the engine's thread alone
  std::mutex mutex_;
  std::condition_variable work_;
  std::vector<RunPtr> arrivals_;
  EngineStats stats_;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

namespace {

template <class Loop>
class LoopStream : public TokenStream {
 public:
  LoopStream(Loop& loop, RunPtr run) : loop_(loop), run_(std::move(run)) {}
  ~LoopStream() override { loop_.cancel(*run_); }
  std::optional<int64_t> next() override { return loop_.take(*run_); }
  FinishReason finish() const override { return loop_.finish_of(*run_); }
  int64_t cached_tokens() const override { return loop_.cached_of(*run_); }

 private:
  Loop& loop_;
  RunPtr run_;
};

}  // namespace

Engine::Engine(std::shared_ptr<const CausalLm> model, EngineLimits limits)
    : loop_(std::make_unique<Loop>(std::move(model), limits)) {}

Engine::~Engine() = default;

EngineStats Engine::stats() const { return loop_->stats(); }

std::unique_ptr<TokenStream> Engine::start(EngineRequest request) {
  const ModelShape& shape = loop_->shape();
  check_shape(request.embeddings, "prompt", {-1, shape.width});
  request.embeddings = request.embeddings.to(shape.device, shape.dtype);
  const int64_t prompt = request.embeddings.size(0);
  check(prompt > 0, ErrorCode::kInvalidArgument, "prompt: expected at least one token, got none");
  if (request.positions.defined()) {
    check_shape(request.positions, "positions", {prompt, shape.position_axes});
  }
  check(prompt < request.context_tokens, ErrorCode::kOutOfRange,
        "prompt: expected fewer than " + std::to_string(request.context_tokens) +
            " tokens (the context), got " + std::to_string(prompt));
  check(request.options.max_tokens > 0, ErrorCode::kInvalidArgument,
        "max_tokens: expected at least 1, got " + std::to_string(request.options.max_tokens));
  check(request.row_keys.empty() || static_cast<int64_t>(request.row_keys.size()) == prompt,
        ErrorCode::kInvalidArgument, "row_keys: expected one for each row or none");
  if (request.pruning) loop_->model().check_prunable(request.pruning->layer);
  if (shape.depends_on_length || request.worn || request.pruning) request.row_keys.clear();
  auto run = std::make_shared<Run>(std::move(request), shape.vocabulary, loop_->guesses());
  check(run->planned_length <= loop_->capacity_tokens(), ErrorCode::kResourceExhausted,
        "prompt: expected at most " + std::to_string(loop_->capacity_tokens()) +
            " tokens with the answer (what the memory for keys and values holds), got " +
            std::to_string(run->planned_length));
  loop_->submit(run);
  return std::make_unique<LoopStream<Loop>>(*loop_, std::move(run));
}

}  // namespace lv::llm
