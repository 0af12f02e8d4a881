#include "vision/encoders/activation.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/kernels/quick_gelu.h"

namespace lv::vision {

Activation activation_named(const std::string& name, const char* key) {
  if (name == "quick_gelu") return quick_gelu;
  if (name == "gelu") return [](at::Tensor x) { return at::gelu_(x); };
  if (name == "gelu_pytorch_tanh") return [](at::Tensor x) { return at::gelu_(x, "tanh"); };
  if (name == "silu") return [](at::Tensor x) { return at::silu_(x); };
  throw Error(
      ErrorCode::kUnimplemented,
      std::string(key) + ": expected quick_gelu, gelu, gelu_pytorch_tanh or silu, got " + name);
}

}  // namespace lv::vision
