#pragma once

#include <functional>
#include <memory>

namespace lv {

/// Whether somebody still wants what a thread works on. A value; copies ask the same. Thread-safe.
/// One that was made by default is never requested.
class Cancellation {
 public:
  Cancellation() = default;
  /// That of the innermost scope of this thread.
  static Cancellation current();

  /// Also requested once `asked` says yes, which it need not repeat. `asked` is called from any
  /// thread, at most about every few milliseconds.
  Cancellation with(std::function<bool()> asked) const;

  bool requested() const;
  /// Whether it can ever be requested.
  explicit operator bool() const { return node_ != nullptr; }

 private:
  struct Node;
  explicit Cancellation(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

  std::shared_ptr<const Node> node_;
};

/// While it lives, check_cancelled() on this thread asks `cancellation`. Where work changes
/// threads, the other thread opens a scope with the first one's current(). Scopes end in reverse
/// order.
class CancelScope {
 public:
  explicit CancelScope(Cancellation cancellation);
  ~CancelScope();
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

 private:
  Cancellation before_;
};

/// Throws kCancelled if this thread's work is no longer wanted. Long computations call it between
/// their steps (a layer, a token, a packet), so that it is heard within 200 ms. Costs nanoseconds.
void check_cancelled();

}  // namespace lv
