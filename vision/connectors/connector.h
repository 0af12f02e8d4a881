#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace lv::vision {

/// Turns an encoder's features into tokens of a language model's width. Immutable and thread-safe.
class Connector {
 public:
  virtual ~Connector() = default;
  /// [..., Dv] -> [..., D]
  virtual at::Tensor connect(const at::Tensor& features) const = 0;
};
using ConnectorPtr = std::shared_ptr<const Connector>;

}  // namespace lv::vision
