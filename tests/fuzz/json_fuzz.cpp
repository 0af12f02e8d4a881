#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "pipeline/base/error.h"
#include "pipeline/base/json.h"

// What is read prints as text that reads as the same value.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    const std::string printed = lv::parse_json(text, "fuzz").dump();
    if (lv::parse_json(printed, "printed").dump() != printed) std::abort();
  } catch (const lv::Error&) {
  }
  return 0;
}
