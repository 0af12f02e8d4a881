#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "pipeline/base/error.h"

namespace lv {

/// Reads little-endian values one after the other. Every read checks what is left and throws
/// kInvalidArgument that names the file, the field and the position. Not thread-safe.
class ByteReader {
 public:
  /// `name` starts error texts.
  ByteReader(std::span<const std::byte> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  template <class T>
  T read(std::string_view field) {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), field), sizeof(T));
    return value;
  }

  std::string_view text(uint64_t length, std::string_view field) {
    return {reinterpret_cast<const char*>(take(length, field)), static_cast<size_t>(length)};
  }

  /// Steps over `length` bytes and returns where they begin.
  const std::byte* take(uint64_t length, std::string_view field) {
    if (length > left()) {
      fail(std::string(field) + ": expected " + std::to_string(length) + " bytes, got " +
           std::to_string(left()));
    }
    const std::byte* begin = bytes_.data() + position_;
    position_ += static_cast<size_t>(length);
    return begin;
  }

  [[noreturn]] void fail(const std::string& text) const {
    throw Error(ErrorCode::kInvalidArgument,
                name_ + ": at byte " + std::to_string(position_) + ": " + text);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  size_t position_ = 0;
};

}  // namespace lv
