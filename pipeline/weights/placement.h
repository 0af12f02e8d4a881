#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "pipeline/weights/tensor_store.h"

namespace lv {

/// Where a model computes and in which type. A small value.
struct Placement {
  at::Device device = at::kCPU;
  std::optional<at::ScalarType> dtype = at::kFloat;  // nothing: what suits checkpoint and device
};

/// Reads "cpu", "cuda" or "cuda:N", and "auto", "float32", "bfloat16" or "float16".
/// Throws kInvalidArgument on another text, kFailedPrecondition on a device that is not there,
/// kUnimplemented for float16 on the CPU, which lacks arithmetic for it.
Placement parse_placement(const std::string& device, const std::string& dtype);

/// What a placement comes to for the tensors of one checkpoint.
struct Computing {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // of what flows between layers, and of weights
  bool as_stored = false;             // float16 and bfloat16 matrices stay what they are
};

/// The types that a store holds, in bytes.
struct StoredBytes {
  int64_t float16 = 0, bfloat16 = 0, other = 0, quantised = 0;
  int64_t total() const { return float16 + bfloat16 + other + quantised; }
};
/// Reads no tensor of a file.
StoredBytes stored_bytes_of(const TensorStore& tensors);

/// On the CPU quantised matrices stay as they are. "auto" there leaves float16 and bfloat16
/// matrices in their files too and computes in float32, which changes no weight and takes no memory
/// of its own; where the processor multiplies bfloat16 fast, it computes in that. On a GPU "auto"
/// is the type that most weights are stored in, and bfloat16 for quantised ones, which become
/// dense.
Computing computing_for(const Placement& placement, const TensorStore& tensors);

/// Whether the CPU has instructions that multiply bfloat16.
bool has_fast_bfloat16();

}  // namespace lv
