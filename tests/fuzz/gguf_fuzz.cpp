#include "pipeline/base/error.h"
#include "pipeline/kernels/quantized_matmul.h"
#include "pipeline/weights/checkpoint.h"
#include "pipeline/weights/gguf.h"
#include "tests/fuzz/memory_file.h"

namespace {

void read_all(const lv::TensorStore& store) {
  for (const auto& name : store.names()) {
    const lv::StoredTensor tensor = store.get(name);
    if (const auto* matrix = std::get_if<lv::QuantizedMatrix>(&tensor)) {
      if (matrix->rows * matrix->columns < (1 << 20)) lv::dequantize(*matrix);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const lv::MemoryFile file(bytes, size);
  try {
    read_all(*lv::open_gguf(file.path()).tensors);
    lv::open_checkpoint(file.path());
  } catch (const lv::Error&) {
  }
  return 0;
}
