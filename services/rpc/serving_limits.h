#pragma once

#include <cstdint>

#include "pipeline/types/media.h"

namespace lv::services {

/// Ceilings of a server; they win over whatever a request asks for. A server holds at most
/// max_calls * media.max_bytes of uploaded files.
struct ServingLimits {
  int max_calls = 8;  // at the same time; more are refused
  int64_t max_generated_tokens = 4096;
  MediaLimits media = [] {
    MediaLimits limits;
    limits.max_bytes = 1LL << 30;
    return limits;
  }();
};

}  // namespace lv::services
