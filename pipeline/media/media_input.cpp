#include "pipeline/media/media_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "pipeline/base/error.h"

namespace lv {
namespace {

ErrorCode code_of_errno(int number) {
  if (number == ENOENT || number == ENOTDIR) return ErrorCode::kNotFound;
  if (number == EACCES || number == EPERM) return ErrorCode::kPermissionDenied;
  return ErrorCode::kInvalidArgument;
}

void check_time(double seconds, const char* field) {
  check(std::isfinite(seconds) && seconds >= 0, ErrorCode::kInvalidArgument,
        std::string(field) + ": expected seconds from 0, got " + std::to_string(seconds));
}

}  // namespace

MediaInput::MediaInput(const MediaRequest& request) : name_(request.name) {
  if (const auto* path = std::get_if<std::string>(&request.media)) {
    if (name_.empty()) name_ = *path;
    open_file(*path);
  } else {
    if (name_.empty()) name_ = "media in memory";
    bytes_ = std::get<std::shared_ptr<const std::string>>(request.media);
    size_ = bytes_ ? static_cast<int64_t>(bytes_->size()) : 0;
  }
  std::string problem;
  ErrorCode code = ErrorCode::kInvalidArgument;
  if (size_ == 0) {
    problem = "expected a media file, got 0 bytes";
  } else if (size_ > request.limits.max_bytes) {
    code = ErrorCode::kResourceExhausted;
    problem = "expected at most " + std::to_string(request.limits.max_bytes) + " bytes, got " +
              std::to_string(size_);
  }
  if (problem.empty()) return;
  if (file_ >= 0) ::close(file_);
  throw Error(code, name_ + ": " + problem);
}

MediaInput::~MediaInput() {
  if (file_ >= 0) ::close(file_);
}

void MediaInput::open_file(const std::string& path) {
  // O_NONBLOCK: opening a pipe without a writer must not hang.
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file_ < 0) {
    throw Error(code_of_errno(errno), name_ + ": cannot be opened: " + std::strerror(errno));
  }
  struct stat facts = {};
  if (::fstat(file_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(file_);
    throw Error(ErrorCode::kInvalidArgument,
                name_ + ": expected a file, got a " +
                    (S_ISDIR(facts.st_mode) ? "folder" : "device or pipe"));
  }
  size_ = facts.st_size;
}

int64_t MediaInput::read_at(int64_t offset, void* into, int64_t count) const {
  if (offset < 0 || count <= 0 || offset >= size_) return 0;
  count = std::min(count, size_ - offset);
  if (bytes_) {
    std::memcpy(into, bytes_->data() + offset, static_cast<size_t>(count));
    return count;
  }
  ssize_t got = 0;
  do {
    got = ::pread(file_, into, static_cast<size_t>(count), offset);
  } while (got < 0 && errno == EINTR);
  return got;
}

void check_request(const MediaRequest& request) {
  const Sampling& sampling = request.sampling;
  check_time(sampling.start_seconds, "sampling.start_seconds");
  if (sampling.end_seconds) {
    check_time(*sampling.end_seconds, "sampling.end_seconds");
    check(*sampling.end_seconds > sampling.start_seconds, ErrorCode::kInvalidArgument,
          "sampling.end_seconds: expected more than the start " +
              std::to_string(sampling.start_seconds) + ", got " +
              std::to_string(*sampling.end_seconds));
  }
  if (const auto* uniform = std::get_if<UniformFrames>(&sampling.rule)) {
    check(uniform->count >= 1, ErrorCode::kInvalidArgument,
          "sampling.count: expected at least 1, got " + std::to_string(uniform->count));
  } else if (const auto* fps = std::get_if<FramesPerSecond>(&sampling.rule)) {
    check(std::isfinite(fps->rate) && fps->rate > 0, ErrorCode::kInvalidArgument,
          "sampling.rate: expected more than 0, got " + std::to_string(fps->rate));
  } else if (const auto* at = std::get_if<FramesAt>(&sampling.rule)) {
    check(!at->seconds.empty(), ErrorCode::kInvalidArgument,
          "sampling.seconds: expected at least one time, got none");
    for (const double seconds : at->seconds) check_time(seconds, "sampling.seconds");
  } else if (const auto* scenes = std::get_if<SceneChanges>(&sampling.rule)) {
    check(scenes->threshold >= 0 && scenes->threshold <= 1, ErrorCode::kInvalidArgument,
          "sampling.threshold: expected 0 to 1, got " + std::to_string(scenes->threshold));
  }
  if (const auto* paced = std::get_if<PacedFrames>(&sampling.rule)) {
    const auto expect = [](bool good, const char* what) {
      check(good, ErrorCode::kInvalidArgument, std::string("sampling.paced: expected ") + what);
    };
    expect(std::isfinite(paced->rate) && paced->rate > 0, "a rate above 0");
    expect(paced->least >= 1 && paced->most >= paced->least,
           "at least 1 picture, and no fewer at most");
    expect(paced->multiple >= 1 && paced->multiple <= paced->most, "a multiple of 1 to the most");
    expect(std::isfinite(paced->skip_seconds) && paced->skip_seconds >= 0,
           "0 seconds or more to skip");
  }
  const MediaLimits& limits = request.limits;
  check(limits.max_frames > 0 && limits.max_picture_pixels > 0 && limits.max_total_pixels > 0 &&
            limits.max_seconds > 0 && limits.max_bytes > 0 && limits.max_pages > 0 &&
            limits.max_text_bytes > 0,
        ErrorCode::kInvalidArgument, "limits: expected numbers above 0");
}

}  // namespace lv
