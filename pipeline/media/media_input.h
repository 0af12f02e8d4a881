#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pipeline/types/media.h"

namespace lv {

/// The bytes of one file, on disk or in memory. Immutable, so thread-safe.
///
/// Only regular files are opened: what FFmpeg reads comes from here and from nowhere else.
class MediaInput {
 public:
  /// Throws kNotFound, kPermissionDenied, kInvalidArgument (no regular file, no bytes) or
  /// kResourceExhausted (more than limits.max_bytes).
  explicit MediaInput(const MediaRequest& request);
  ~MediaInput();
  MediaInput(const MediaInput&) = delete;
  MediaInput& operator=(const MediaInput&) = delete;

  /// For messages.
  const std::string& name() const { return name_; }
  int64_t size() const { return size_; }

  /// Copies up to `count` bytes from `offset`; how many, 0 at the end, -1 if the disk fails.
  int64_t read_at(int64_t offset, void* into, int64_t count) const;

 private:
  void open_file(const std::string& path);

  std::string name_;
  std::shared_ptr<const std::string> bytes_;  // null: file_ is open
  int file_ = -1;
  int64_t size_ = 0;
};

/// Checks that the numbers of a request make sense. Throws kInvalidArgument that names the field.
void check_request(const MediaRequest& request);

}  // namespace lv
