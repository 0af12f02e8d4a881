#include "pipeline/kernels/free_memory.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace lv {
namespace {

/// What Linux could give without swapping, caches of files included.
int64_t available_memory() {
  std::ifstream info("/proc/meminfo");
  std::string name, unit;
  int64_t kilobytes = 0;
  while (info >> name >> kilobytes) {
    if (name == "MemAvailable:") return kilobytes * 1024;
    std::getline(info, unit);
  }
  return static_cast<int64_t>(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

}  // namespace

int64_t free_memory(at::Device device) {
  if (device.is_cpu()) return available_memory();
  const auto [free, total] = c10::getDeviceAllocator(device.type())
                                 ->getMemoryInfo(device.has_index() ? device.index() : 0);
  return static_cast<int64_t>(free);
}

}  // namespace lv
