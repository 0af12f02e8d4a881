#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace lv::vision {

using Activation = at::Tensor (*)(at::Tensor);

/// The activation that configurations call `name`: quick_gelu, gelu, gelu_pytorch_tanh or silu. It
/// may write over what it is given. Throws kUnimplemented on others; `key` starts the text.
Activation activation_named(const std::string& name, const char* key);

}  // namespace lv::vision
