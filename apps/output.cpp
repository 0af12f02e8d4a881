#include "apps/output.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "pipeline/base/error.h"

namespace lv::apps {

void write_whole_file(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".part" + std::to_string(getpid());
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  std::error_code problem;
  if (file) std::filesystem::rename(temporary, path, problem);
  if (file && !problem) return;
  std::filesystem::remove(temporary, problem);
  throw Error(ErrorCode::kFailedPrecondition, path + ": cannot be written");
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string clock_text(double seconds) {
  char text[32];
  const int minutes = static_cast<int>(seconds / 60);
  std::snprintf(text, sizeof text, "%02d:%04.1f", minutes, seconds - 60 * minutes);
  return text;
}

}  // namespace lv::apps
