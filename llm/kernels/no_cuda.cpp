#include "llm/kernels/launch.h"
#include "pipeline/base/error.h"

// Stands for the .cu files in builds without CUDA.

namespace lv::llm {

void launch_paged_decode(const PagedDecode&, void*) {
  throw Error(ErrorCode::kUnimplemented, "built without CUDA kernels");
}

}  // namespace lv::llm
