#include "pipeline/weights/gguf_keys.h"

#include <charconv>

#include "pipeline/base/error.h"

namespace lv {

int64_t GgufKeys::count(const std::string& key) const {
  const Json* value = find(key);
  check(value != nullptr && value->is_int() && value->as_int() > 0, ErrorCode::kInvalidArgument,
        path_ + ": " + prefix_ + key + ": expected a whole number above 0, got " +
            (value ? value->dump().substr(0, 40) : "none"));
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
