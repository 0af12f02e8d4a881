#include "pipeline/base/cancellation.h"

#include <atomic>
#include <chrono>

#include "pipeline/base/error.h"

namespace lv {
namespace {

using Clock = std::chrono::steady_clock;

/// Asking may cost a system call.
constexpr auto kBetweenQuestions = std::chrono::milliseconds(5);

thread_local Cancellation innermost;

}  // namespace

struct Cancellation::Node {
  Node(std::shared_ptr<const Node> outer, std::function<bool()> question)
      : around(std::move(outer)), asked(std::move(question)) {}

  std::shared_ptr<const Node> around;
  std::function<bool()> asked;
  mutable std::atomic<bool> said_yes{false};
  mutable std::atomic<Clock::rep> next_question{
      Clock::time_point::min().time_since_epoch().count()};

  bool requested() const {
    if (said_yes) return true;
    const auto now = Clock::now().time_since_epoch();
    if (now.count() < next_question) return false;
    next_question = (now + Clock::duration(kBetweenQuestions)).count();
    if (!asked()) return false;
    said_yes = true;
    return true;
  }
};

Cancellation Cancellation::current() { return innermost; }

Cancellation Cancellation::with(std::function<bool()> asked) const {
  return Cancellation(std::make_shared<const Node>(node_, std::move(asked)));
}

bool Cancellation::requested() const {
  for (const Node* node = node_.get(); node != nullptr; node = node->around.get()) {
    if (node->requested()) return true;
  }
  return false;
}

CancelScope::CancelScope(Cancellation cancellation) : before_(std::move(innermost)) {
  innermost = std::move(cancellation);
}

CancelScope::~CancelScope() { innermost = std::move(before_); }

void check_cancelled() {
  check(!innermost.requested(), ErrorCode::kCancelled, "the request was cancelled");
}

}  // namespace lv
