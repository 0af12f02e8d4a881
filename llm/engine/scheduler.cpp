#include "llm/engine/scheduler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "pipeline/kernels/free_memory.h"

namespace lv::llm {
namespace {

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

bool holds(const std::vector<RunPtr>& runs, const RunPtr& run) {
  return std::find(runs.begin(), runs.end(), run) != runs.end();
}

}  // namespace

Scheduler::Scheduler(std::shared_ptr<const CausalLm> model, const EngineLimits& limits)
    : model_(std::move(model)),
      shape_(model_->shape()),
      limits_(limits),
      kv_(shape_.kv(), kv_capacity(limits, shape_.kv())),
      cache_(memory(), shape_.kv().page_tokens, std::max<int64_t>(1, shape_.tapped_rows)),
      draft_tokens_(shape_.kv_heads == 0 ? 0 : limits.draft_tokens),
      cache_tokens_(cache_capacity(limits, shape_.kv(), kv_.capacity_tokens())) {}

void Scheduler::turn(const std::function<bool(const Run&)>& gone) {
  const auto leaves = [&](const RunPtr& run) {
    if (!gone(*run)) return false;
    forget(*run);
    return true;
  };
  std::erase_if(running_, leaves);
  std::erase_if(waiting_, leaves);
  admit();
}

/// Lets those in that came first, while what they have to read would find room.
void Scheduler::admit() {
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
void Scheduler::open(Run& run) {
  const auto match = cache_.find(run.rows);
  run.sequence = match ? match->sequence : kv_.create();
  run.length = match ? match->tokens : 0;
  if (shape_.tapped_rows > 0) taps_.open(*run.sequence, shape_.tapped_rows);
  if (run.answer.empty()) run.cached = run.length;
}

void Scheduler::forget(Run& run) {
  if (run.sequence) drop(memory(), *run.sequence);
  run.sequence.reset();
  run.length = 0;
}

/// How many rows a sequence reads in a step that has room for so many of prompts.
int64_t Scheduler::rows_to_read(const Run& run, int64_t room) const {
  if (run.unread() == 1 && !run.reading_prompt()) return 1;
  if (run.reading_prompt() && run.request.pruning) return run.prompt() - run.length;
  int64_t count = std::min(run.unread(), room);
  if (run.reading_prompt()) count = std::min(count, run.prompt() - run.length);
  // States are kept at the place from which others can go on.
  const int64_t stop = cache_.reusable(run.prompt());
  if (shape_.kv_heads == 0 && run.length < stop) count = std::min(count, stop - run.length);
  return count;
}

/// How the answer may go on, as far as there is room for it.
void Scheduler::guess(Run& run) const {
  run.draft.clear();
  if (draft_tokens_ == 0 || run.unread() != 1 || run.reading_prompt()) return;
  run.draft = run.guesses.propose(std::min(draft_tokens_, run.planned_length - run.known() - 1));
}

/// Without embeddings if it is of an answer, whose ids are added.
SequenceStep Scheduler::piece_of(const Run& run, int64_t count, std::vector<int64_t>& ids) const {
  SequenceStep piece{*run.sequence, {}, run.length, run.planned_length};
  piece.worn = run.request.worn.get();
  if (run.reading_prompt()) {
    if (run.request.pruning) piece.pruning = &*run.request.pruning;
    piece.embeddings = run.request.embeddings.slice(0, run.length, run.length + count);
    if (run.request.positions.defined()) {
      piece.positions = run.request.positions.slice(0, run.length, run.length + count);
    }
    return piece;
  }
  piece.first_position += run.answer_shift;
  const size_t end = ids.size() + static_cast<size_t>(count);
  ids.insert(ids.end(), run.answer.begin() + (run.length - run.prompt()), run.answer.end());
  ids.insert(ids.end(), run.draft.begin(), run.draft.end());
  ids.resize(end);
  return piece;
}

/// Pages that reading so many rows more may take, and choosing from a prompt that ends with them.
int64_t Scheduler::pages_for(const Run& run, int64_t count) const {
  const bool chooses = taps_.is_open(*run.sequence) && run.length + count >= run.prompt();
  return kv_.pages_to_append(*run.sequence, count) +
         (chooses ? kv_.shared_pages(*run.sequence) : 0);
}

/// Whether `count` rows of a run find room beside the pages that are reserved: taken from what is
/// only remembered, then from the runs that came last and are not in `taken`.
bool Scheduler::make_room(const RunPtr& run, int64_t count, int64_t reserved,
                          const std::vector<RunPtr>& taken) {
  while (pages_for(*run, count) > kv_.free_pages() - reserved) {
    if (cache_.evict()) continue;
    const RunPtr last = running_.back();
    if (last == run || holds(taken, last)) return false;
    forget(*last);
    ++counted_.preemptions;
    running_.pop_back();
    waiting_.push_front(last);
  }
  return true;
}

Scheduler::Step Scheduler::plan() {
  Step step;
  int64_t room = limits_.step_tokens;
  int64_t reserved = 0;
  std::vector<int64_t> ids;     // of all answers
  std::vector<int64_t> counts;  // of each piece's ids; 0 for one of a prompt
  const auto take = [&](const RunPtr& run) {
    guess(*run);
    int64_t count = rows_to_read(*run, room);
    if (count == 0) return;
    count += static_cast<int64_t>(run->draft.size());
    if (!make_room(run, count, reserved, step.runs)) return;
    reserved += pages_for(*run, count);
    if (run->unread() > 1 || run->reading_prompt()) room -= count;
    step.pieces.push_back(piece_of(*run, count, ids));
    step.runs.push_back(run);
    counts.push_back(step.pieces.back().embeddings.defined() ? 0 : count);
  };
  // Answers first: what they need is little, and somebody reads along. The list may lose its last
  // ones on the way.
  for (size_t i = 0; i < running_.size(); ++i) {
    const RunPtr run = running_[i];
    if (run->unread() == 1) take(run);
  }
  for (size_t i = 0; i < running_.size() && room > 0; ++i) {
    const RunPtr run = running_[i];
    if (!holds(step.runs, run)) take(run);
  }
  if (ids.empty()) return step;
  const at::Tensor rows = model_->embed(at::tensor(ids, at::kLong));
  int64_t row = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    step.pieces[i].embeddings = rows.slice(0, row, row + counts[i]);
    row += counts[i];
  }
  return step;
}

void Scheduler::was_read(Run& run, int64_t rows) {
  run.length += rows - static_cast<int64_t>(run.draft.size());
  if (run.length == cache_.reusable(run.prompt())) states_.keep(*run.sequence);
  if (cache_tokens_ > 0 && run.length == run.prompt()) {
    cache_.add(run.rows, *run.sequence, run.length);
  }
  while (cache_.tokens() > cache_tokens_) cache_.evict();
}

void Scheduler::was_guessed(int64_t drafted, int64_t accepted) {
  counted_.drafted_tokens += drafted;
  counted_.accepted_tokens += accepted;
}

void Scheduler::settle(const Run& run) {
  if (!run.draft.empty()) truncate(memory(), *run.sequence, run.length);
  const bool read = !run.reading_prompt();
  if (read && taps_.is_open(*run.sequence)) {  // it will write anew what others share
    const auto short_of = [&] { return kv_.free_pages() < kv_.shared_pages(*run.sequence); };
    while (short_of() && cache_.evict()) {
    }
  }
  if (!read && cache_tokens_ > 0 && !run.rows.keys.empty()) return;
  model_->settle(*run.sequence, run.planned_length, memory(), read);
}

EngineStats Scheduler::stats() const {
  EngineStats stats = counted_;
  stats.running = static_cast<int64_t>(running_.size());
  stats.waiting = static_cast<int64_t>(waiting_.size());
  stats.kv_bytes = kv_.bytes();
  stats.cached_tokens = cache_.tokens();
  return stats;
}

}  // namespace lv::llm
