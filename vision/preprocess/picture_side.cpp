#include "vision/preprocess/picture_side.h"

#include <string>

#include "pipeline/base/error.h"

namespace lv::vision {

int64_t picture_side(const Json& value, const char* key) {
  constexpr int64_t kMaxSide = 8192;
  const int64_t pixels = value.as_int();
  check(pixels >= 1 && pixels <= kMaxSide, ErrorCode::kInvalidArgument,
        std::string(key) + ": expected 1 to " + std::to_string(kMaxSide) + " pixels, got " +
            std::to_string(pixels));
  return pixels;
}

}  // namespace lv::vision
