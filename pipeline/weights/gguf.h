#pragma once

#include <string>

#include "pipeline/base/json.h"
#include "pipeline/weights/tensor_store.h"

namespace lv {

/// A GGUF file (ggml-org/ggml, docs/gguf.md; versions 2 and 3), mapped.
struct GgufFile {
  Json metadata;           // {"general.architecture": "llama", ...}; arrays as arrays
  TensorStorePtr tensors;  // by their names in the file, shapes row-major ([out, in])
};

/// Throws kInvalidArgument on a wrong magic, version, count, length, type or offset; kUnimplemented
/// on a tensor type that is not read here, by name.
GgufFile open_gguf(const std::string& path);

}  // namespace lv
