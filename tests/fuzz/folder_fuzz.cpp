// Folders of models: configurations in JSON, each ended by a zero byte, then a safetensors file.
// The first byte says how many configurations follow: one, or three for a folder of xtuner's.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "tests/fuzz/read_parts.h"

namespace {

namespace fs = std::filesystem;

constexpr const char* kPlaces[] = {"", "visual_encoder", "projector"};

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Cuts off what stands before the next zero byte.
std::string_view next_text(std::string_view& bytes) {
  const size_t zero = std::min(bytes.find('\0'), bytes.size());
  const std::string_view text = bytes.substr(0, zero);
  bytes.remove_prefix(std::min(zero + 1, bytes.size()));
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const fs::path kFolder =
      fs::temp_directory_path() / ("folder_fuzz_" + std::to_string(getpid()));
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string_view configs[3];
  const size_t count = data[0] % 2 == 0 ? 1 : 3;
  for (size_t i = 0; i < count; ++i) configs[i] = next_text(bytes);
  fs::remove_all(kFolder);
  for (size_t i = 0; i < count; ++i) {
    const fs::path folder = kFolder / kPlaces[i];
    fs::create_directories(folder);
    write(folder / "config.json", configs[i]);
    write(folder / "model.safetensors", bytes);
  }
  try {
    lv::read_parts(lv::open_checkpoint(kFolder.string()));
  } catch (const lv::Error&) {
  }
  fs::remove_all(kFolder);
  return 0;
}
