#include <ATen/core/Tensor.h>

#include "pipeline/base/error.h"
#include "pipeline/kernels/launch.h"
#include "pipeline/kernels/recording.h"

// Stands for the .cu files and cuda_*.cpp in builds without CUDA.

namespace lv {
namespace {

[[noreturn]] void missing() {
  throw Error(ErrorCode::kUnimplemented, "built without CUDA kernels");
}

}  // namespace

bool has_cuda_kernels() { return false; }
std::unique_ptr<Recording> record(const Recording::Compute&, const at::Tensor&) { return nullptr; }
void launch_add_layer_norm(const AddLayerNorm&, void*) { missing(); }
void launch_add_rms_norm(const AddRmsNorm&, void*) { missing(); }
void launch_rotate(const Rotate&, void*) { missing(); }
void launch_gated_silu(const GatedSilu&, void*) { missing(); }
void launch_few_rows_linear(const FewRowsLinear&, void*) { missing(); }
void launch_nv12_to_rgb(const Nv12ToRgb&, void*) { missing(); }
void launch_quick_gelu(void*, Element, int64_t, void*) { missing(); }

}  // namespace lv
