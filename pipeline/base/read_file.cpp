#include "pipeline/base/read_file.h"

#include <fstream>

#include "pipeline/base/error.h"

namespace lv {

std::string file_contents(const std::string& path, int64_t limit_bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  check(file.good(), ErrorCode::kNotFound, path + ": cannot be opened");
  const auto size = static_cast<int64_t>(file.tellg());
  check(size >= 0 && size <= limit_bytes, ErrorCode::kInvalidArgument,
        path + ": expected at most " + std::to_string(limit_bytes) + " bytes, got " +
            std::to_string(size));
  std::string bytes(static_cast<size_t>(size), '\0');
  file.seekg(0).read(bytes.data(), size);
  check(file.good(), ErrorCode::kNotFound, path + ": cannot be read");
  return bytes;
}

}  // namespace lv
