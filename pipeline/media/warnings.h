#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace lv {

/// What went wrong with one file, one line each. A line that differs from an earlier one only in
/// its numbers is dropped, and so is everything after the 16th. Thread-safe: FFmpeg's worker
/// threads write to it.
class Warnings {
 public:
  /// `name` of the file starts each line.
  explicit Warnings(std::string name) : name_(std::move(name)) {}

  void add(const std::string& text);
  /// The lines since the last call.
  std::vector<std::string> take();
  /// The first line ever added without the name, or "".
  std::string first() const;

  const std::string& name() const { return name_; }

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::set<std::string> seen_;
  std::string first_;
  std::vector<std::string> lines_;
};

/// Sends FFmpeg's messages to the Warnings that the `opaque` of their AVCodecContext or
/// AVFormatContext points to, if they are errors, and nowhere else. Takes effect in the whole
/// process.
void capture_ffmpeg_log();

}  // namespace lv
