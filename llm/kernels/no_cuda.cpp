#include "llm/kernels/launch.h"
#include "pipeline/base/error.h"

// Stands for the .cu files in builds without CUDA.

namespace lv::llm {

namespace {

[[noreturn]] void missing() {
  throw Error(ErrorCode::kUnimplemented, "built without CUDA kernels");
}

}  // namespace

void launch_paged_decode(const PagedDecode&, void*) { missing(); }
void launch_rotate_append(const RotateAppend&, void*) { missing(); }

}  // namespace lv::llm
