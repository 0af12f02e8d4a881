#include "pipeline/kernels/crew.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace lv {
namespace {

/// How often each of `tasks` was done.
std::vector<int> times_done(int64_t tasks, int64_t threads) {
  std::vector<std::atomic<int>> times(static_cast<size_t>(tasks));
  share_tasks(tasks, threads, [&](int64_t task) { ++times[static_cast<size_t>(task)]; });
  return {times.begin(), times.end()};
}

}  // namespace

TEST_CASE("share_tasks does each task once") {
  const auto threads = GENERATE(1, 2, 3, 8);
  const auto tasks = GENERATE(0, 1, 2, 3, 100);
  CAPTURE(threads, tasks);
  for (int round = 0; round < 200; ++round) {
    REQUIRE(times_done(tasks, threads) == std::vector<int>(static_cast<size_t>(tasks), 1));
  }
}

TEST_CASE("share_tasks serves callers at the same time, and within a task") {
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        share_tasks(5, 3, [&](int64_t task) {
          share_tasks(4, 3, [&](int64_t inner) { sum += task * inner; });
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 3 * 100 * (0 + 1 + 2 + 3 + 4) * (0 + 1 + 2 + 3));
}

TEST_CASE("share_tasks wakes threads that went to sleep") {
  std::atomic<bool> other{false};
  const std::thread::id caller = std::this_thread::get_id();
  share_tasks(2, 2, [](int64_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  // The caller's task ends when another thread has taken the other.
  share_tasks(2, 2, [&](int64_t) {
    if (std::this_thread::get_id() != caller) other = true;
    while (!other) std::this_thread::yield();
  });
  CHECK(other);
}

}  // namespace lv
