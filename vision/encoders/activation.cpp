#include "vision/encoders/activation.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"

namespace lv::vision {

Activation activation_named(const std::string& name, const char* key) {
  if (name == "quick_gelu") {
    return [](const at::Tensor& x) { return x * at::sigmoid(1.702 * x); };
  }
  if (name == "gelu") return [](const at::Tensor& x) { return at::gelu(x); };
  if (name == "gelu_pytorch_tanh") return [](const at::Tensor& x) { return at::gelu(x, "tanh"); };
  throw Error(ErrorCode::kUnimplemented,
              std::string(key) + ": expected quick_gelu, gelu or gelu_pytorch_tanh, got " + name);
}

}  // namespace lv::vision
