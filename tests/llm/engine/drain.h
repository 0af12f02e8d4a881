#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <thread>
#include <vector>

#include "llm/engine/engine.h"

namespace lv::llm {

/// Room for a test: reserving half of a machine's memory takes long under the sanitizers.
inline EngineLimits small() {
  EngineLimits limits;
  limits.kv_tokens = 1 << 12;
  return limits;
}

/// What an engine holds once it has nothing to do.
inline EngineStats idle(const Engine& engine) {
  for (int i = 0; i < 2000; ++i) {
    const EngineStats stats = engine.stats();
    if (stats.running == 0 && stats.waiting == 0) return stats;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  FAIL("the engine does not come to rest");
  return {};
}

/// All tokens that an answer still has.
inline std::vector<int64_t> rest_of(TokenStream& stream) {
  std::vector<int64_t> ids;
  while (const auto id = stream.next()) ids.push_back(*id);
  return ids;
}

}  // namespace lv::llm
