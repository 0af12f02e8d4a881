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

#include "llm/engine/sampler.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr std::chrono::milliseconds kBetweenQuestions{20};

/// One answer in the making. What follows `mutex` in Loop is noted for each member.
struct Run {
  Run(EngineRequest asked, int64_t vocabulary)
      : request(std::move(asked)), sampler(request.options, vocabulary) {
    const int64_t prompt = request.embeddings.size(0);
    planned_length = std::min(prompt + request.options.max_tokens, request.context_tokens);
    sampler.observe(request.prompt_ids);
    answer_shift = position_behind(prompt, {request.positions, request.answer_position}) - prompt;
  }

  bool reading_prompt() const { return length < request.embeddings.size(0); }

  // Of the engine's thread alone.
  EngineRequest request;
  Sampler sampler;
  std::optional<SequenceId> sequence;
  int64_t planned_length = 0;
  int64_t length = 0;        // tokens that the model has read
  int64_t answer_shift = 0;  // from how many tokens stand before an answer's token to its position
  int64_t last_id = 0;

  // Of whoever holds the loop's mutex.
  std::deque<int64_t> ready;
  FinishReason finish = FinishReason::kNone;
  std::exception_ptr problem;
  bool ended = false;
  bool cancelled = false;
  std::condition_variable changed;
};
using RunPtr = std::shared_ptr<Run>;

}  // namespace

class Engine::Loop {
 public:
  Loop(std::shared_ptr<const CausalLm> model, EngineLimits limits)
      : model_(std::move(model)),
        shape_(model_->shape()),
        limits_(limits),
        kv_(make_dense_kv_store(shape_.kv())),
        thread_([this] { work(); }) {}

  ~Loop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    work_.notify_all();
    thread_.join();
  }

  const ModelShape& shape() const { return shape_; }

  void submit(RunPtr run) {
    {
      std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(run));
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

  FinishReason finish_of(const Run& run) {
    std::lock_guard lock(mutex_);
    return run.ended && run.ready.empty() ? run.finish : FinishReason::kNone;
  }

 private:
  void work() {
    c10::InferenceMode no_autograd;
    std::vector<RunPtr> chosen;
    while (choose(chosen)) step(chosen);
  }

  /// Waits for something to do and fills `chosen`; false when the engine goes.
  bool choose(std::vector<RunPtr>& chosen) {
    std::unique_lock lock(mutex_);
    for (;;) {
      retire();
      admit();
      chosen = running_;
      if (stopped_ || !chosen.empty()) return !stopped_;
      work_.wait(lock);
    }
  }

  void retire() {
    const auto gone = [&](const RunPtr& run) {
      if (!run->cancelled && !run->ended) return false;
      if (run->sequence) forget(*run);
      return true;
    };
    std::erase_if(running_, gone);
    std::erase_if(waiting_, gone);
  }

  void admit() {
    int64_t total = 0;
    for (const RunPtr& run : running_) total += run->planned_length;
    while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < limits_.max_sequences) {
      total += waiting_.front()->planned_length;
      if (!running_.empty() && total > limits_.max_total_tokens) break;
      running_.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
  }

  void forget(Run& run) {
    drop({*kv_, states_}, *run.sequence);
    run.sequence.reset();
  }

  /// What each sequence reads now: its last token, or the next piece of its prompt while the step
  /// has room. Sequences without room are taken out of `chosen`.
  std::vector<SequenceStep> plan_step(std::vector<RunPtr>& chosen) {
    std::vector<SequenceStep> steps;
    std::vector<RunPtr> taken;
    int64_t room = limits_.step_tokens;
    for (const RunPtr& run : chosen) {
      at::Tensor embeddings, positions;
      int64_t first_position = run->length;
      if (run->reading_prompt()) {
        const int64_t left = run->request.embeddings.size(0) - run->length;
        const int64_t count = std::min(left, room);
        if (count == 0) continue;
        room -= count;
        embeddings = run->request.embeddings.slice(0, run->length, run->length + count);
        if (run->request.positions.defined()) {
          positions = run->request.positions.slice(0, run->length, run->length + count);
        }
      } else {
        first_position += run->answer_shift;
        embeddings = model_->embed(at::tensor({run->last_id}, at::kLong));
      }
      if (!run->sequence) run->sequence = kv_->create(run->planned_length);
      steps.push_back({*run->sequence, embeddings, first_position, run->planned_length, positions,
                       run->request.worn.get()});
      taken.push_back(run);
    }
    chosen = std::move(taken);
    return steps;
  }

  bool abandoned(const std::vector<RunPtr>& chosen) {
    std::lock_guard lock(mutex_);
    return stopped_ || std::all_of(chosen.begin(), chosen.end(),
                                   [](const RunPtr& run) { return run->cancelled; });
  }

  void step(std::vector<RunPtr>& chosen) {
    try {
      const std::vector<SequenceStep> steps = plan_step(chosen);
      const CancelScope scope(Cancellation().with([&] { return abandoned(chosen); }));
      const at::Tensor hidden = model_->forward(pack(steps), {*kv_, states_});  // [n, D]
      std::vector<RunPtr> answering;
      std::vector<int64_t> last_rows;
      int64_t row = 0;
      for (size_t i = 0; i < steps.size(); ++i) {
        const int64_t count = steps[i].embeddings.size(0);
        row += count;
        chosen[i]->length += count;
        if (chosen[i]->reading_prompt()) continue;
        answering.push_back(chosen[i]);
        last_rows.push_back(row - 1);
      }
      if (answering.empty()) return;
      const at::Tensor last =
          hidden.index_select(0, at::tensor(last_rows, at::kLong).to(hidden.device()));
      const at::Tensor logits = model_->logits(last);  // [answering, V]
      for (size_t i = 0; i < answering.size(); ++i) {
        choose_token(*answering[i], logits[static_cast<int64_t>(i)]);
      }
    } catch (...) {
      for (const RunPtr& run : chosen) end(*run, FinishReason::kNone, std::current_exception());
    }
  }

  void choose_token(Run& run, const at::Tensor& logits) {
    int64_t id = 0;
    try {
      id = run.sampler.next(logits);
    } catch (...) {
      end(run, FinishReason::kNone, std::current_exception());
      return;
    }
    const auto& stops = run.request.stop_ids;
    if (std::find(stops.begin(), stops.end(), id) != stops.end()) {
      end(run, FinishReason::kStop, nullptr);
      return;
    }
    run.last_id = id;
    {
      std::lock_guard lock(mutex_);
      run.ready.push_back(id);
    }
    run.changed.notify_all();
    // The token itself takes the place after the `length` that were read.
    if (run.length + 1 >= run.planned_length) end(run, FinishReason::kLength, nullptr);
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
  const EngineLimits limits_;
  std::unique_ptr<KvStore> kv_;  // with states_, of the engine's thread alone
  StateStore states_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<RunPtr> waiting_;
  std::vector<RunPtr> running_;
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

 private:
  Loop& loop_;
  RunPtr run_;
};

}  // namespace

Engine::Engine(std::shared_ptr<const CausalLm> model, EngineLimits limits)
    : loop_(std::make_unique<Loop>(std::move(model), limits)) {}

Engine::~Engine() = default;

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
  auto run = std::make_shared<Run>(std::move(request), shape.vocabulary);
  loop_->submit(run);
  return std::make_unique<LoopStream<Loop>>(*loop_, std::move(run));
}

}  // namespace lv::llm
