#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "pipeline/base/json.h"

namespace lv {

/// The metadata of a GGUF file whose keys begin with the same word, as "llama.".
class GgufKeys {
 public:
  /// `path` starts error texts. `metadata` outlives this.
  GgufKeys(std::string path, const Json& metadata, std::string_view prefix)
      : path_(std::move(path)), metadata_(metadata), prefix_(std::string(prefix) + ".") {}

  const Json* find(const std::string& key) const { return metadata_.find(prefix_ + key); }

  /// A whole number from 1 to 2^24. Throws kInvalidArgument that names the key.
  int64_t count(const std::string& key) const;
  int64_t count(const std::string& key, int64_t fallback) const {
    return find(key) ? count(key) : fallback;
  }
  /// As it was meant: 1e-05, where the file holds the float32 9.99999975e-06.
  double number(const std::string& key, double fallback) const;
  std::string text(const std::string& key, const char* fallback) const {
    return metadata_.get(prefix_ + key, fallback);
  }
  bool flag(const std::string& key) const { return metadata_.get(prefix_ + key, false); }

 private:
  std::string path_;
  const Json& metadata_;
  std::string prefix_;
};

/// The double that a person meant who wrote `value` as a float.
double as_written(double value);

}  // namespace lv
