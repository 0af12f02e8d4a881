#include "apps/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace lv::apps {

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::show(std::string_view stage, double share_done) {
  if (!terminal_) {
    if (stage == last_) return;
    last_ = stage;
    std::fprintf(stderr, "longview: %s\n", last_.c_str());
    return;
  }
  constexpr int kWidth = 30;
  const int full = static_cast<int>(std::clamp(share_done, 0.0, 1.0) * kWidth);
  last_ = stage;
  std::fprintf(stderr, "\r\033[K%-10s [%s%s]", last_.c_str(), std::string(full, '#').c_str(),
               std::string(kWidth - full, ' ').c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (terminal_ && !last_.empty()) std::fputs("\r\033[K", stderr);
  last_.clear();
}

}  // namespace lv::apps
