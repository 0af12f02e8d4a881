#pragma once

#include <cstdint>

#include "pipeline/base/json.h"

namespace lv::vision {

/// A side that a processor's configuration gives pictures, in pixels. Throws kInvalidArgument that
/// names `key` unless it is 1 to 8192.
int64_t picture_side(const Json& value, const char* key);

}  // namespace lv::vision
