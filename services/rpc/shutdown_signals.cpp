#include "services/rpc/shutdown_signals.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "pipeline/base/error.h"

namespace lv::services {
namespace {

constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};

// A handler may only touch what does not move: the pipe that it wakes the waiter through.
std::array<int, 2> wake_pipe{-1, -1};

void restore() {
  for (const int number : kSignals) std::signal(number, SIG_DFL);
}

void on_signal(int number) {
  const int before = errno;
  restore();
  const auto byte = static_cast<unsigned char>(number);
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &byte, 1);
  errno = before;
}

}  // namespace

ShutdownSignals::ShutdownSignals() {
  check(wake_pipe[0] < 0, ErrorCode::kInternal, "signals: caught already");
  check(pipe2(wake_pipe.data(), O_CLOEXEC) == 0, ErrorCode::kInternal, "signals: no pipe");
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

ShutdownSignals::~ShutdownSignals() {
  restore();
  for (int& end : wake_pipe) {
    close(end);
    end = -1;
  }
}

int ShutdownSignals::wait() {
  unsigned char byte = 0;
  while (read(wake_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  return byte;
}

int ShutdownSignals::wait_for(std::chrono::milliseconds timeout) {
  pollfd ready{wake_pipe[0], POLLIN, 0};
  int count = poll(&ready, 1, static_cast<int>(timeout.count()));
  // Interrupted by a signal: if it was one of ours, the pipe holds it now.
  if (count < 0 && errno == EINTR) count = poll(&ready, 1, 0);
  return count > 0 ? wait() : 0;
}

}  // namespace lv::services
