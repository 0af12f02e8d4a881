#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

namespace lv {

/// A computation on a GPU that was recorded for inputs of one shape and runs again as a whole (a
/// CUDA graph): hundreds of small kernels are launched at the price of one. Not thread-safe.
class Recording {
 public:
  using Compute = std::function<std::vector<at::Tensor>(const at::Tensor&)>;

  virtual ~Recording() = default;
  /// The outputs for an input of the example's shape, type and device. They hold until the next
  /// call, which writes over them.
  virtual const std::vector<at::Tensor>& run(const at::Tensor& input) = 0;
};

/// Runs `compute` twice on a copy of `example`, the second time to record it. Its memory is the
/// recording's own as long as that lives. Null if it cannot be recorded: without CUDA, not on a
/// GPU, or where `compute` waits for the device or allocates on the host side of a stream.
std::unique_ptr<Recording> record(const Recording::Compute& compute, const at::Tensor& example);

}  // namespace lv
