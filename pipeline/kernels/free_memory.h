#pragma once

#include <c10/core/Device.h>

#include <cstdint>

namespace lv {

/// Bytes that a program may still ask for on a device: of the machine's memory for a CPU.
int64_t free_memory(at::Device device);

}  // namespace lv
