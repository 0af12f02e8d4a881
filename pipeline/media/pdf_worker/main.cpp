// Reads one PDF file with Poppler in a process of its own, which holds its licence apart from the
// program's and where a hostile file can exhaust nothing but this process: memory and time are
// bounded, and it opens no socket and starts no program. pdf_file.cpp starts it and reads what it
// writes (pdf_wire.h).
//
//   text PAGES BYTES               words of the first PAGES pages, of at most BYTES in all
//   pictures SIDE PIXELS PAGE...   pages, SIDE pixels on the longer side, at most PIXELS each

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-page-renderer.h>
#include <poppler-page.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "pipeline/media/pdf_wire.h"

namespace lv {
namespace {

constexpr rlim_t kMostMemory = 1536L << 20;  // besides the file
constexpr rlim_t kMostSeconds = 60;          // of computing
constexpr int kMostNotes = 4;

void bound_resources(rlim_t file_bytes) {
  const auto limit = [](auto what, rlim_t most) {
    const rlimit both{most, most};
    setrlimit(what, &both);
  };
  limit(RLIMIT_CPU, kMostSeconds);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_CORE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  limit(RLIMIT_AS, kMostMemory + file_bytes);
#else
  static_cast<void>(file_bytes);
#endif
}

/// From here on no socket, no other program, no other process to look into.
void deny_the_world() {
#if defined(__x86_64__)
  const auto refuse = [](uint32_t call) -> std::array<sock_filter, 2> {
    return {sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
            sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)};
  };
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const uint32_t call : {SYS_socket, SYS_connect, SYS_execve, SYS_execveat, SYS_fork,
                              SYS_vfork, SYS_ptrace, SYS_process_vm_readv, SYS_kill}) {
    for (const sock_filter& step : refuse(call)) program.push_back(step);
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
#endif
}

void write_all(const void* from, size_t count) {
  const char* at = static_cast<const char*>(from);
  while (count > 0) {
    const ssize_t done = ::write(STDOUT_FILENO, at, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) std::_Exit(0);  // nobody reads any more
    at += done;
    count -= static_cast<size_t>(done);
  }
}

void write_record(PdfRecord record, const std::string& payload = {}) {
  record.bytes = payload.size();
  write_all(&record, sizeof record);
  write_all(payload.data(), payload.size());
}

void note(const std::string& text, void*) {
  static int notes = 0;
  if (notes++ < kMostNotes) {
    write_record({PdfRecordKind::kNote}, text.substr(0, std::min<size_t>(text.find('\n'), 200)));
  }
}

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

PdfSize size_of(const poppler::page& page) {
  const poppler::rectf box = page.page_rect(poppler::crop_box);
  const auto orientation = page.orientation();
  const bool turned =
      orientation == poppler::page::landscape || orientation == poppler::page::seascape;
  PdfSize size{static_cast<float>(box.width()), static_cast<float>(box.height())};
  if (turned) std::swap(size.width, size.height);
  return size;
}

/// The words of a page as the payload of its record; `text_bytes` grows by what they hold.
std::string words_of(const poppler::page& page, size_t& text_bytes, size_t most_bytes) {
  std::string payload;
  append(payload, size_of(page));
  for (const poppler::text_box& box : page.text_list()) {
    const poppler::byte_array text = box.text().to_utf8();
    if (text_bytes + text.size() > most_bytes) {
      text_bytes = most_bytes;
      break;
    }
    text_bytes += text.size();
    const poppler::rectf at = box.bbox();
    append(payload, PdfWord{{static_cast<float>(at.left()), static_cast<float>(at.top()),
                             static_cast<float>(at.right()), static_cast<float>(at.bottom())},
                            static_cast<uint32_t>(box.rotation()) & 3,
                            static_cast<uint32_t>(text.size())});
    payload.append(text.data(), text.size());
  }
  return payload;
}

/// Whether all of these pages' text was within `most_bytes`.
bool write_text(const poppler::document& document, int most_pages, size_t most_bytes) {
  size_t text_bytes = 0;
  const int count = std::min(document.pages(), most_pages);
  for (int i = 0; i < count && text_bytes < most_bytes; ++i) {
    const std::unique_ptr<poppler::page> page(document.create_page(i));
    if (!page) continue;
    write_record({PdfRecordKind::kText, static_cast<uint32_t>(i + 1)},
                 words_of(*page, text_bytes, most_bytes));
  }
  return text_bytes < most_bytes;
}

void write_picture(const poppler::document& document, int number, double side, double most_pixels) {
  if (number < 1 || number > document.pages()) return;
  const std::unique_ptr<poppler::page> page(document.create_page(number - 1));
  if (!page) return;
  const PdfSize size = size_of(*page);
  const double width = std::max(size.width, 1e-3F), height = std::max(size.height, 1e-3F);
  double scale = side / std::max(width, height);  // pixels a point
  scale = std::min(scale, std::sqrt(most_pixels / width / height) * 0.99);
  poppler::page_renderer renderer;
  renderer.set_render_hint(poppler::page_renderer::antialiasing);
  renderer.set_render_hint(poppler::page_renderer::text_antialiasing);
  renderer.set_image_format(poppler::image::format_rgb24);
  const poppler::image picture = renderer.render_page(page.get(), scale * 72, scale * 72);
  if (!picture.is_valid() || picture.width() < 1 || picture.height() < 1) return;
  const size_t row = static_cast<size_t>(picture.width()) * 3;
  PdfRecord record{PdfRecordKind::kPicture, static_cast<uint32_t>(number),
                   static_cast<uint32_t>(picture.width()), static_cast<uint32_t>(picture.height())};
  record.bytes = row * record.b;
  write_all(&record, sizeof record);
  for (int y = 0; y < picture.height(); ++y) {
    write_all(picture.const_data() + static_cast<size_t>(y) * picture.bytes_per_row(), row);
  }
}

int run(const std::vector<std::string>& words) {
  const bool text = words.size() == 3 && words[0] == "text";
  const bool pictures = words.size() >= 3 && words[0] == "pictures";
  struct stat facts = {};
  if ((!text && !pictures) || fstat(STDIN_FILENO, &facts) != 0 || facts.st_size <= 0 ||
      facts.st_size > INT32_MAX) {
    return kPdfWrongUse;
  }
  bound_resources(static_cast<rlim_t>(facts.st_size));
  const void* file =
      mmap(nullptr, static_cast<size_t>(facts.st_size), PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
  if (file == MAP_FAILED) return kPdfNoMemory;
  deny_the_world();
  poppler::set_debug_error_function(note, nullptr);
  const std::unique_ptr<poppler::document> document(poppler::document::load_from_raw_data(
      static_cast<const char*>(file), static_cast<int>(facts.st_size)));
  if (!document || document->is_locked()) {
    write_record({document ? PdfRecordKind::kLocked : PdfRecordKind::kBroken});
    return 0;
  }
  write_record({PdfRecordKind::kPages, 0, static_cast<uint32_t>(std::max(document->pages(), 0))});
  const bool whole = !text || write_text(*document, std::stoi(words[1]), std::stoull(words[2]));
  for (size_t i = 3; pictures && i < words.size(); ++i) {
    write_picture(*document, std::stoi(words[i]), std::stod(words[1]), std::stod(words[2]));
  }
  write_record({PdfRecordKind::kEnd, 0, whole ? 0U : 1U});
  return 0;
}

}  // namespace
}  // namespace lv

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  syscall(SYS_close_range, 3U, ~0U, 0U);
  try {
    // No destructors of what a damaged file left behind.
    std::_Exit(lv::run({argv + 1, argv + argc}));
  } catch (const std::bad_alloc&) {
    std::_Exit(lv::kPdfNoMemory);
  } catch (const std::exception&) {
    std::_Exit(lv::kPdfWrongUse);
  }
}
