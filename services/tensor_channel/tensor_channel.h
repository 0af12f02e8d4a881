#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string_view>

namespace longview::v1 {
class Tensor;
}

namespace lv::services {

namespace v1 = longview::v1;

/// Writes the elements of `x` into the message: one copy. `x` may be on any device and of any
/// strides. Throws kInvalidArgument for an element type that does not travel.
void put_tensor(const at::Tensor& x, v1::Tensor* message);

/// A tensor over the message's own bytes, no copy. `message` is kept alive until the last tensor
/// over it goes; use an aliasing shared_ptr for a tensor inside a larger message.
///
/// Throws kInvalidArgument that starts with `name` if type, shape and byte count do not agree,
/// kUnimplemented if the elements lie in shared memory or on a GPU.
at::Tensor take_tensor(const std::shared_ptr<const v1::Tensor>& message, std::string_view name);

}  // namespace lv::services
