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

#include "llm/engine/ngram_draft.h"
#include "llm/engine/prefix_cache.h"
#include "llm/engine/sampler.h"
#include "llm/models/packed_batch.h"
#include "pipeline/base/cancellation.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/free_memory.h"

namespace lv::llm {
namespace {

constexpr std::chrono::milliseconds kBetweenQuestions{20};
constexpr int64_t kCachedBytesOnCpu = int64_t{1} << 29;
constexpr int64_t kCachedTokensOfStates = 1 << 16;

/// Tokens for which there is room, from what was asked and what is free.
int64_t kv_capacity(const EngineLimits& limits, const KvShape& shape) {
  if (limits.kv_tokens > 0 || shape.token_bytes() == 0) return limits.kv_tokens;
  return std::max<int64_t>(1, free_memory(shape.device) / 2 / shape.token_bytes());
}

int64_t cache_capacity(const EngineLimits& limits, const KvShape& shape, int64_t kv_tokens) {
  if (limits.cached_tokens >= 0) return limits.cached_tokens;
  if (shape.token_bytes() == 0) return kCachedTokensOfStates;
  return shape.device.is_cpu() ? kCachedBytesOnCpu / shape.token_bytes() : kv_tokens;
}

/// One answer in the making. What follows `mutex` in Loop is noted for each member.
struct Run {
  Run(EngineRequest asked, int64_t vocabulary, bool guessing)
      : request(std::move(asked)), sampler(request.options, vocabulary) {
    planned_length = std::min(prompt() + request.options.max_tokens, request.context_tokens);
    sampler.observe(request.prompt_ids);
    if (guessing) guesses.observe(request.prompt_ids);
    answer_shift =
        position_behind(prompt(), {request.positions, request.answer_position}) - prompt();
  }

  int64_t prompt() const { return request.embeddings.size(0); }
  bool reading_prompt() const { return length < prompt(); }
  /// Rows to read before the next token can be chosen.
  int64_t unread() const { return prompt() + static_cast<int64_t>(answer.size()) - length; }
  PromptRows prompt_rows() const {
    return {request.embeddings, request.positions, request.row_keys};
  }

  // Of the engine's thread alone.
  EngineRequest request;
  Sampler sampler;
  NgramDraft guesses;
  std::vector<int64_t> draft;  // read with the answer's last token in the step under way
  std::optional<SequenceId> sequence;
  int64_t planned_length = 0;
  int64_t length = 0;        // rows that the model has read
  int64_t answer_shift = 0;  // from how many tokens stand before an answer's token to its position
  std::vector<int64_t> answer;  // read again if its memory was taken

  // Of whoever holds the loop's mutex.
  std::deque<int64_t> ready;
  FinishReason finish = FinishReason::kNone;
  int64_t cached = 0;
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
        kv_(shape_.kv(), kv_capacity(limits, shape_.kv())),
        cache_(memory(), shape_.kv().page_tokens, std::max<int64_t>(1, shape_.tapped_rows)),
        draft_tokens_(shape_.kv_heads == 0 ? 0 : limits.draft_tokens),
        cache_tokens_(cache_capacity(limits, shape_.kv(), kv_.capacity_tokens())),
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
  bool guesses() const { return draft_tokens_ > 0; }
  int64_t capacity_tokens() const { return kv_.capacity_tokens(); }

  void submit(RunPtr run) {
    {
      std::lock_guard lock(mutex_);
      check(static_cast<int64_t>(waiting_.size()) < limits_.max_waiting,
            ErrorCode::kResourceExhausted,
            "engine: " + std::to_string(waiting_.size()) + " prompts are waiting already");
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
    std::vector<RunPtr> running;
    while (choose(running)) step(running);
  }

  /// Waits for something to do and fills `running`; false when the engine goes.
  bool choose(std::vector<RunPtr>& running) {
    std::unique_lock lock(mutex_);
    for (;;) {
      retire();
      admit();
      running = running_;
      note();
      if (stopped_ || !running.empty()) return !stopped_;
      work_.wait(lock);
    }
  }

  void note() {
    stats_.running = static_cast<int64_t>(running_.size());
    stats_.waiting = static_cast<int64_t>(waiting_.size());
    stats_.kv_bytes = kv_.bytes();
    stats_.cached_tokens = cache_.tokens();
  }

  void retire() {
    const auto gone = [&](const RunPtr& run) {
      if (!run->cancelled && !run->ended) return false;
      forget(*run);
      return true;
    };
    std::erase_if(running_, gone);
    std::erase_if(waiting_, gone);
  }

  /// Lets those in that came first, while what they have to read would find room.
  void admit() {
    int64_t wanted = 0;
    for (const RunPtr& run : running_) wanted += kv_.pages_to_append(*run->sequence, run->unread());
    while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < limits_.max_sequences) {
      const RunPtr& next = waiting_.front();
      open(*next);
      wanted += kv_.pages_to_append(*next->sequence, next->unread());
      const int64_t evictable = kv_.pages_for_new(cache_.tokens());
      if (!running_.empty() && wanted > kv_.free_pages() + evictable) {
        forget(*next);
        break;
      }
      running_.push_back(next);
      waiting_.pop_front();
    }
  }

  /// Begins where an earlier prompt that began alike ended.
  void open(Run& run) {
    const auto match = cache_.find(run.prompt_rows());
    run.sequence = match ? match->sequence : kv_.create();
    run.length = match ? match->tokens : 0;
    if (shape_.tapped_rows > 0) taps_.open(*run.sequence, shape_.tapped_rows);
    if (run.answer.empty()) run.cached = run.length;
  }

  void forget(Run& run) {
    if (run.sequence) drop(memory(), *run.sequence);
    run.sequence.reset();
    run.length = 0;
  }

  /// How many rows a sequence reads in a step that has room for so many of prompts.
  int64_t rows_to_read(const Run& run, int64_t room) const {
    if (run.unread() == 1 && !run.reading_prompt()) return 1;
    int64_t count = std::min(run.unread(), room);
    if (run.reading_prompt()) count = std::min(count, run.prompt() - run.length);
    // States are kept at the place from which others can go on.
    const int64_t stop = cache_.reusable(run.prompt());
    if (shape_.kv_heads == 0 && run.length < stop) count = std::min(count, stop - run.length);
    return count;
  }

  /// How the answer may go on, as far as there is room for it.
  void guess(Run& run) {
    run.draft.clear();
    const int64_t left =
        run.planned_length - run.prompt() - static_cast<int64_t>(run.answer.size());
    if (guesses() && run.unread() == 1 && !run.reading_prompt()) {
      run.draft = run.guesses.propose(std::min(draft_tokens_, left - 1));
    }
  }

  SequenceStep step_of(const Run& run, int64_t count) const {
    SequenceStep step{*run.sequence, {}, run.length, run.planned_length};
    step.worn = run.request.worn.get();
    if (run.reading_prompt()) {
      step.embeddings = run.request.embeddings.slice(0, run.length, run.length + count);
      if (run.request.positions.defined()) {
        step.positions = run.request.positions.slice(0, run.length, run.length + count);
      }
    } else {
      step.first_position += run.answer_shift;
      std::vector<int64_t> ids = run.answer;
      ids.insert(ids.end(), run.draft.begin(), run.draft.end());
      const int64_t first = run.length - run.prompt();
      step.embeddings = model_->embed(at::tensor(ids, at::kLong).slice(0, first, first + count));
    }
    return step;
  }

  Memory memory() { return {kv_, states_, &taps_}; }

  /// Pages that reading so many rows more may take, and choosing from a prompt that ends with them.
  int64_t pages_for(const Run& run, int64_t count) const {
    const bool chooses = taps_.is_open(*run.sequence) && run.length + count >= run.prompt();
    return kv_.pages_to_append(*run.sequence, count) +
           (chooses ? kv_.shared_pages(*run.sequence) : 0);
  }

  /// Whether `count` rows of a run find room beside the pages that are reserved: taken from what
  /// is only remembered, then from the runs that came last and are not in `taken`.
  bool make_room(const RunPtr& run, int64_t count, int64_t reserved,
                 const std::vector<RunPtr>& taken) {
    while (pages_for(*run, count) > kv_.free_pages() - reserved) {
      if (cache_.evict()) continue;
      std::lock_guard lock(mutex_);
      const RunPtr last = running_.back();
      if (last == run || std::find(taken.begin(), taken.end(), last) != taken.end()) return false;
      forget(*last);
      ++stats_.preemptions;
      running_.pop_back();
      waiting_.push_front(last);
    }
    return true;
  }

  /// What each sequence reads now: its last token, or the next piece of its prompt while the step
  /// has room. Sequences without room are left out of `taken`.
  std::vector<SequenceStep> plan_step(const std::vector<RunPtr>& running,
                                      std::vector<RunPtr>& taken) {
    std::vector<SequenceStep> steps;
    int64_t room = limits_.step_tokens;
    int64_t reserved = 0;
    const auto plan = [&](const RunPtr& run) {
      if (!run->sequence) return;  // its room was taken by one before it
      guess(*run);
      int64_t count = rows_to_read(*run, room);
      count += static_cast<int64_t>(run->draft.size());
      if (count == 0 || !make_room(run, count, reserved, taken)) return;
      reserved += pages_for(*run, count);
      if (run->unread() > 1 || run->reading_prompt()) room -= count;
      steps.push_back(step_of(*run, count));
      taken.push_back(run);
    };
    // Answers first: what they need is little, and somebody reads along.
    const auto answers = [](const RunPtr& run) { return run->sequence && run->unread() == 1; };
    for (const RunPtr& run : running) {
      if (answers(run)) plan(run);
    }
    for (const RunPtr& run : running) {
      if (std::find(taken.begin(), taken.end(), run) == taken.end() && room > 0) plan(run);
    }
    return steps;
  }

  bool abandoned(const std::vector<RunPtr>& taken) {
    std::lock_guard lock(mutex_);
    return stopped_ || std::all_of(taken.begin(), taken.end(),
                                   [](const RunPtr& run) { return run->cancelled; });
  }

  /// What follows from rows of a prompt that were read: memory to keep for others.
  void remember(const Run& run) {
    if (run.length == cache_.reusable(run.prompt())) states_.keep(*run.sequence);
    if (cache_tokens_ > 0 && run.length == run.prompt()) {
      cache_.add(run.prompt_rows(), *run.sequence, run.length);
    }
    while (cache_.tokens() > cache_tokens_) cache_.evict();
  }

  /// Gives back what was read in vain and what no later token sees. A prompt that others may go on
  /// from keeps all of its keys until it is remembered.
  void give_back(const Run& run) {
    if (!run.draft.empty()) truncate(memory(), *run.sequence, run.length);
    const bool read = !run.reading_prompt();
    if (read && taps_.is_open(*run.sequence)) {  // it will write anew what others share
      const auto short_of = [&] { return kv_.free_pages() < kv_.shared_pages(*run.sequence); };
      while (short_of() && cache_.evict()) {
      }
    }
    if (!read && cache_tokens_ > 0 && !run.request.row_keys.empty()) return;
    model_->settle(*run.sequence, run.planned_length, memory(), read);
  }

  /// Rows of a step after which a token is to be chosen: the last of what there was to read, and
  /// those of a draft.
  struct Choice {
    RunPtr run;
    int64_t first_row = 0;
  };

  void step(const std::vector<RunPtr>& running) {
    std::vector<RunPtr> taken;
    try {
      const std::vector<SequenceStep> steps = plan_step(running, taken);
      const CancelScope scope(Cancellation().with([&] { return abandoned(taken); }));
      const at::Tensor hidden = model_->forward(pack(steps), memory());  // [n, D]
      std::vector<Choice> choices;
      std::vector<int64_t> rows;
      int64_t row = 0;
      for (size_t i = 0; i < steps.size(); ++i) {
        Run& run = *taken[i];
        row += steps[i].embeddings.size(0);
        const auto drafted = static_cast<int64_t>(run.draft.size());
        run.length += steps[i].embeddings.size(0) - drafted;
        if (run.draft.empty()) remember(run);
        if (run.unread() > 0) continue;
        choices.push_back({taken[i], static_cast<int64_t>(rows.size())});
        for (int64_t r = row - 1 - drafted; r < row; ++r) rows.push_back(r);
      }
      if (!choices.empty()) {
        const at::Tensor chosen =
            hidden.index_select(0, at::tensor(rows, at::kLong).to(hidden.device()));
        const at::Tensor logits = model_->logits(chosen);  // [rows, V]
        for (const Choice& choice : choices) choose_tokens(*choice.run, logits, choice.first_row);
      }
      for (const RunPtr& run : taken) give_back(*run);
    } catch (...) {
      for (const RunPtr& run : taken) end(*run, FinishReason::kNone, std::current_exception());
    }
  }

  /// Chooses a token after each row in turn, as long as the draft has the same one. What is drawn
  /// is what would be drawn without a draft, at any temperature: a guess is right with the
  /// probability that the model gives it, as speculative sampling wants (arXiv 2211.17192, section
  /// 2.3).
  void choose_tokens(Run& run, const at::Tensor& logits, int64_t row) {
    size_t accepted = 0;
    while (choose_token(run, logits[row + static_cast<int64_t>(accepted)]) &&
           accepted < run.draft.size() && run.answer.back() == run.draft[accepted]) {
      ++accepted;
      ++run.length;
    }
    if (run.draft.empty()) return;
    std::lock_guard lock(mutex_);
    stats_.drafted_tokens += static_cast<int64_t>(run.draft.size());
    stats_.accepted_tokens += static_cast<int64_t>(accepted);
  }

  /// False if the answer ended.
  bool choose_token(Run& run, const at::Tensor& logits) {
    int64_t id = 0;
    try {
      id = run.sampler.next(logits);
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
    if (run.prompt() + static_cast<int64_t>(run.answer.size()) < run.planned_length) return true;
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
  const EngineLimits limits_;
  KvStore kv_;  // with states_ and cache_, of the engine's thread alone
  StateStore states_;
  QueryTaps taps_;
  PrefixCache cache_;
  const int64_t draft_tokens_;
  const int64_t cache_tokens_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<RunPtr> waiting_;
  std::vector<RunPtr> running_;
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
  if (shape.depends_on_length || request.worn) request.row_keys.clear();
  auto run = std::make_shared<Run>(std::move(request), shape.vocabulary, loop_->guesses());
  check(run->planned_length <= loop_->capacity_tokens(), ErrorCode::kResourceExhausted,
        "prompt: expected at most " + std::to_string(loop_->capacity_tokens()) +
            " tokens with the answer (what the memory for keys and values holds), got " +
            std::to_string(run->planned_length));
  loop_->submit(run);
  return std::make_unique<LoopStream<Loop>>(*loop_, std::move(run));
}

}  // namespace lv::llm
