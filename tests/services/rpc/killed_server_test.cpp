#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "pipeline/base/error.h"
#include "pipeline/stage/sources.h"
#include "services/rpc/server.h"
#include "services/rpc/shutdown_signals.h"
#include "tests/services/rpc/small_stages.h"

extern char** environ;

namespace lv::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kServing = "a process that serves slow stages until it is told to end";

TEST_CASE(kServing, "[.child]") {
  ShutdownSignals signals;
  Stages slow = small_stages();
  slow.decode_video = endless_video(std::make_shared<Observed>(), milliseconds(20));
  Server server("0", stage_services(slow, {"all"}, std::make_shared<CallGate>()));
  const std::string line = "address " + server.address() + "\n";
  REQUIRE(write(STDOUT_FILENO, line.data(), line.size()) > 0);
  REQUIRE(signals.wait_for(milliseconds(60'000)) == SIGTERM);
  server.shutdown(milliseconds(100));
}

/// This program again, as a server of its own. Killed when the object goes.
class ServerProcess {
 public:
  ServerProcess() {
    std::array<int, 2> ends{};
    REQUIRE(pipe(ends.data()) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    std::string program = "rpc_test", name = kServing;
    std::array<char*, 3> arguments{program.data(), name.data(), nullptr};
    const int problem =
        posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    REQUIRE(problem == 0);
    output_ = fdopen(ends[0], "r");
    std::array<char, 256> line{};
    while (address_.empty() && fgets(line.data(), line.size(), output_) != nullptr) {
      const std::string text = line.data();
      if (text.rfind("address ", 0) == 0) address_ = text.substr(8, text.size() - 9);
    }
    REQUIRE_FALSE(address_.empty());
  }

  ~ServerProcess() {
    if (process_ > 0) end(SIGKILL);
    fclose(output_);
  }

  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  /// Sends the signal and returns the status with which the process ends.
  int end(int signal) {
    int status = 0;
    kill(process_, signal);
    waitpid(process_, &status, 0);
    process_ = -1;
    return status;
  }

  const std::string& address() const { return address_; }

 private:
  pid_t process_ = -1;
  FILE* output_ = nullptr;
  std::string address_;
};

TEST_CASE("a server killed in the middle of a call is a clear error within the deadline") {
  ServerProcess far;
  Stages stages;
  use_remote_stages(stages, {{"decode", far.address()}}, milliseconds(5000));
  auto source = stages.decode_video->start(source_of_one(file_of("x")));
  REQUIRE(source->next());
  const auto start = steady_clock::now();
  far.end(SIGKILL);
  try {
    while (source->next()) {
    }
    FAIL("the stream ended as if all were well");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kUnavailable);
    CHECK_THAT(error.what(), Catch::StartsWith("decode at " + far.address() + ": "));
  }
  CHECK(steady_clock::now() - start < milliseconds(2000));
}

TEST_CASE("a server told to end finishes and leaves well") {
  ServerProcess far;
  Stages stages;
  use_remote_stages(stages, {{"decode", far.address()}}, milliseconds(5000));
  auto source = stages.decode_video->start(source_of_one(file_of("x")));
  REQUIRE(source->next());
  const int status = far.end(SIGTERM);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_THROWS_AS(collect(*source), Error);
}

}  // namespace
}  // namespace lv::services
