#include "pipeline/weights/gguf_keys.h"

#include <charconv>

#include "pipeline/base/error.h"

namespace lv {
namespace {

constexpr int64_t kMost = 1 << 24;  // so that products of two are numbers, too

}  // namespace

int64_t GgufKeys::count(const std::string& key) const {
  const Json* value = find(key);
  const bool known = value != nullptr && value->is_int();
  check(known && value->as_int() > 0 && value->as_int() <= kMost, ErrorCode::kInvalidArgument,
        path_ + ": " + prefix_ + key + ": expected a whole number from 1 to " +
            std::to_string(kMost) + ", got " + (value ? value->dump().substr(0, 40) : "none"));
  return value->as_int();
}

double GgufKeys::number(const std::string& key, double fallback) const {
  return find(key) ? as_written(metadata_.get(prefix_ + key, fallback)) : fallback;
}

double as_written(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof(text), static_cast<float>(value)).ptr;
  double written = value;
  std::from_chars(text, end, written);
  return written;
}

}  // namespace lv
