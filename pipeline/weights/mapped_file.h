#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace lv {

/// A whole file as read-only memory that the system loads on demand. Immutable.
class MappedFile {
 public:
  /// Throws kNotFound if the file cannot be opened, kInvalidArgument if it is no regular file.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

  /// Says that a part will be read soon, or is not needed in memory for now. Hints; reading it
  /// later is always right.
  void prefetch(std::span<const std::byte> part) const;
  void release(std::span<const std::byte> part) const;

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};
using MappedFilePtr = std::shared_ptr<const MappedFile>;

}  // namespace lv
