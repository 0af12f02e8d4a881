#include "pipeline/base/error.h"
#include "pipeline/weights/tensor_store.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const lv::MemoryFile file(bytes, size);
  try {
    const auto store = lv::open_safetensors(file.path());
    for (const auto& name : store->names()) store->get(name);
  } catch (const lv::Error&) {
  }
  return 0;
}
