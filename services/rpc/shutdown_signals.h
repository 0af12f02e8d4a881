#pragma once

#include <chrono>

namespace lv::services {

/// Catches SIGINT and SIGTERM while it lives, so that a server can end what it began. One at a time
/// in a process. After the first signal a second one kills, as if this were not here.
class ShutdownSignals {
 public:
  /// Throws kInternal if there is one already.
  ShutdownSignals();
  ~ShutdownSignals();
  ShutdownSignals(const ShutdownSignals&) = delete;
  ShutdownSignals& operator=(const ShutdownSignals&) = delete;

  /// Waits for a signal and returns its number.
  int wait();
  /// As wait(), for at most `timeout`; 0 if none came.
  int wait_for(std::chrono::milliseconds timeout);
};

}  // namespace lv::services
