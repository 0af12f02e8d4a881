#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/pipeline/weights/byte_writer.h"

namespace lv {

inline constexpr uint32_t kFloat32 = 0;  // a tensor's type

/// Writes the parts of a GGUF file.
class GgufWriter : public ByteWriter {
 public:
  GgufWriter(uint64_t tensors, uint64_t keys) {
    text("GGUF").put(uint32_t{3}).put(tensors).put(keys);
  }
  GgufWriter& string(std::string_view value) {
    put(static_cast<uint64_t>(value.size())).text(value);
    return *this;
  }
  GgufWriter& key(std::string_view name, uint32_t type) {
    string(name).put(type);
    return *this;
  }
  GgufWriter& tensor(std::string_view name, std::vector<uint64_t> sizes, uint32_t type,
                     uint64_t offset) {
    string(name).put(static_cast<uint32_t>(sizes.size()));
    for (const uint64_t size : sizes) put(size);
    put(type).put(offset);
    return *this;
  }
  std::string with_data(size_t bytes) { return pad_to(32).text(std::string(bytes, '\1')).bytes(); }
};

}  // namespace lv
