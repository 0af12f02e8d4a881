#include "pipeline/media/pdf_file.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "pipeline/base/cancellation.h"
#include "pipeline/base/error.h"
#include "pipeline/media/pdf_wire.h"
#include "pipeline/media/picture_header.h"
#include "pipeline/media/warnings.h"

namespace lv {
namespace {

constexpr int64_t kMostFileBytes = INT32_MAX;
constexpr uint64_t kMostNoteBytes = 1 << 12;
constexpr int kPollMilliseconds = 50;

/// The worker: beside the program where that was moved, else where it was built.
std::string worker_path() {
  std::error_code absent;
  const auto beside =
      std::filesystem::read_symlink("/proc/self/exe", absent).parent_path() / "longview_pdf";
  return std::filesystem::exists(beside, absent) ? beside.string() : LV_PDF_WORKER;
}

/// A process that reads `file` from its input and whose output is read here. It ends with this.
class Worker {
 public:
  Worker(const std::vector<std::string>& words, int file) {
    int ends[2];
    check(::pipe2(ends, O_CLOEXEC) == 0, ErrorCode::kResourceExhausted, "PDF reader: no pipe");
    output_ = ends[0];
    const std::string program = worker_path();
    std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::string libraries = "LD_LIBRARY_PATH=";
    if (const char* path = std::getenv("LD_LIBRARY_PATH")) libraries += path;
    char* const environment[] = {libraries.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, file, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    const int failed =
        ::posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments.data(), environment);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    if (failed == 0) return;
    ::close(output_);
    throw Error(ErrorCode::kFailedPrecondition,
                program + ": cannot be started: " + std::strerror(failed));
  }

  ~Worker() {
    ::close(output_);
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    wait();
  }

  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Whether all `count` bytes came before its output ended.
  bool read(void* into, size_t count) {
    char* at = static_cast<char*>(into);
    while (count > 0) {
      check_cancelled();
      pollfd ready{output_, POLLIN, 0};
      if (::poll(&ready, 1, kPollMilliseconds) == 0) continue;
      const ssize_t got = ::read(output_, at, count);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      at += got;
      count -= static_cast<size_t>(got);
    }
    return true;
  }

  /// Its exit status as waitpid() gives it.
  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return status;
  }

 private:
  pid_t process_ = -1;
  int output_ = -1;
};

uint64_t most_bytes(const PdfRecord& record, const MediaLimits& limits) {
  switch (record.kind) {
    case PdfRecordKind::kText:  // a word for each byte at worst
      return sizeof(PdfSize) + static_cast<uint64_t>(limits.max_text_bytes) * (sizeof(PdfWord) + 1);
    case PdfRecordKind::kPicture:
      return 3 * static_cast<uint64_t>(limits.max_picture_pixels);
    default:
      return kMostNoteBytes;
  }
}

/// Why a worker ended before its last record; nullopt if it did not.
std::optional<std::pair<ErrorCode, std::string>> failure(bool ended, int status) {
  if (ended) return std::nullopt;
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == SIGXCPU || signal == SIGKILL) {
    return {{ErrorCode::kResourceExhausted, "reading it takes too long"}};
  }
  // Poppler aborts where it gets no memory.
  if (signal == SIGABRT || (WIFEXITED(status) && WEXITSTATUS(status) == kPdfNoMemory)) {
    return {{ErrorCode::kResourceExhausted, "reading it takes too much memory"}};
  }
  return {{ErrorCode::kDataLoss, "it is damaged"}};
}

template <class T>
T taken(const std::string& bytes, size_t& at) {
  check(bytes.size() - at >= sizeof(T), ErrorCode::kInternal, "PDF page: its text is cut off");
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  at += sizeof value;
  return value;
}

float share_of(float value, double whole) {
  const double share = value / whole;
  return std::isfinite(share) ? static_cast<float>(std::clamp(share, 0.0, 1.0)) : 0;
}

}  // namespace

PdfPage parse_pdf_page(int32_t number, const std::string& payload) {
  size_t at = 0;
  const auto size = taken<PdfSize>(payload, at);
  const auto side = [](float points) { return std::isfinite(points) ? std::max(points, 0.0F) : 0; };
  PdfPage page{number, side(size.width), side(size.height), {}};
  while (at < payload.size()) {
    const auto word = taken<PdfWord>(payload, at);
    check(payload.size() - at >= word.bytes, ErrorCode::kInternal, "PDF page: a word is cut off");
    PageWord read{payload.substr(at, word.bytes), {}, static_cast<int>(word.turn & 3)};
    at += word.bytes;
    for (size_t i = 0; i < 4; ++i) {
      read.box[i] = share_of(word.box[i], i % 2 == 0 ? size.width : size.height);
    }
    page.words.push_back(std::move(read));
  }
  return page;
}

PdfFile::PdfFile(const MediaRequest& request) : limits_(request.limits) {
  check_request(request);
  const MediaInput input(request);
  name_ = input.name();
  check(is_document(input), ErrorCode::kInvalidArgument, name_ + ": expected a PDF file");
  check(input.size() <= kMostFileBytes, ErrorCode::kResourceExhausted,
        name_ + ": expected a PDF file of at most 2 GiB, got " + std::to_string(input.size()) +
            " bytes");
  file_ = ::memfd_create("pdf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  check(file_ >= 0, ErrorCode::kResourceExhausted, name_ + ": no memory for a copy");
  std::string piece(1 << 20, '\0');
  for (int64_t at = 0; at < input.size();) {
    const int64_t got = input.read_at(at, piece.data(), static_cast<int64_t>(piece.size()));
    if (got <= 0 || ::write(file_, piece.data(), static_cast<size_t>(got)) != got) {
      ::close(file_);
      throw Error(ErrorCode::kDataLoss, name_ + ": cannot be read whole");
    }
    at += got;
  }
  ::fcntl(file_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

PdfFile::~PdfFile() { ::close(file_); }

/// Runs the worker and hands its records on. Returns what went wrong behind the first of them, ""
/// if nothing did; what went wrong before is thrown.
std::string PdfFile::run(const std::vector<std::string>& words, const OnRecord& on_record) const {
  Worker worker(words, file_);
  PdfRecord record;
  bool opened = false, ended = false;
  std::string why;  // its first note
  while (!ended && worker.read(&record, sizeof record)) {
    check(record.bytes <= most_bytes(record, limits_), ErrorCode::kInternal,
          name_ + ": the PDF reader answered with too much");
    std::string payload(record.bytes, '\0');
    if (!worker.read(payload.data(), payload.size())) break;
    opened = opened || record.kind == PdfRecordKind::kPages;
    ended = record.kind == PdfRecordKind::kEnd || record.kind == PdfRecordKind::kLocked ||
            record.kind == PdfRecordKind::kBroken;
    if (record.kind == PdfRecordKind::kNote && why.empty()) why = payload;
    check(record.kind != PdfRecordKind::kLocked, ErrorCode::kPermissionDenied,
          name_ +
              ": expected a PDF file that opens without a password, got an "
              "encrypted one");
    check(record.kind != PdfRecordKind::kBroken, ErrorCode::kDataLoss,
          name_ + ": expected a PDF file, its data cannot be read" +
              (why.empty() ? "" : " (" + why + ")"));
    on_record(record, std::move(payload));
  }
  const auto failed = failure(ended, ended ? 0 : worker.wait());
  if (!failed) return "";
  check(opened, failed->first, name_ + ": " + failed->second);
  return failed->second;
}

PdfText PdfFile::text() const {
  PdfText text;
  Warnings warnings(name_);
  bool too_much = false;
  const std::string problem =
      run({"text", std::to_string(std::min<int64_t>(limits_.max_pages, INT32_MAX)),
           std::to_string(limits_.max_text_bytes)},
          [&](const PdfRecord& record, const std::string& payload) {
            if (record.kind == PdfRecordKind::kPages) text.page_count = record.a;
            if (record.kind == PdfRecordKind::kNote) warnings.add(payload);
            if (record.kind == PdfRecordKind::kEnd) too_much = record.a != 0;
            if (record.kind != PdfRecordKind::kText) return;
            text.pages.push_back(parse_pdf_page(static_cast<int32_t>(record.page), payload));
          });
  check(text.page_count > 0, ErrorCode::kDataLoss,
        name_ + ": expected pages, none can be read" +
            (warnings.first().empty() ? "" : " (" + warnings.first() + ")"));
  const auto read = static_cast<int64_t>(text.pages.size());
  if (!problem.empty()) {
    warnings.add("stopped after page " + std::to_string(read) + ": " + problem);
  } else if (too_much || text.page_count > limits_.max_pages) {
    warnings.add(std::to_string(read) + " of " + std::to_string(text.page_count) +
                 " pages are read, at most " +
                 (too_much ? std::to_string(limits_.max_text_bytes) + " bytes of text"
                           : std::to_string(limits_.max_pages)));
  }
  text.warnings = warnings.take();
  return text;
}

std::vector<PdfPicture> PdfFile::pictures(const std::vector<int32_t>& numbers,
                                          int64_t longest_side) const {
  std::vector<PdfPicture> pictures;
  if (numbers.empty()) return pictures;
  std::vector<std::string> words = {"pictures", std::to_string(longest_side),
                                    std::to_string(limits_.max_picture_pixels)};
  for (const int32_t number : numbers) words.push_back(std::to_string(number));
  run(words, [&](const PdfRecord& record, std::string payload) {
    if (record.kind != PdfRecordKind::kPicture) return;
    check(record.a > 0 && record.b > 0 &&
              static_cast<uint64_t>(record.a) * record.b * 3 == payload.size(),
          ErrorCode::kInternal, name_ + ": the PDF reader's picture is cut off");
    const int64_t width = record.a, height = record.b;
    at::Tensor pixels = at::empty({height, width, 3}, at::kByte);
    std::memcpy(pixels.mutable_data_ptr<uint8_t>(), payload.data(), payload.size());
    pictures.push_back({static_cast<int32_t>(record.page), std::move(pixels)});
  });
  return pictures;
}

}  // namespace lv
