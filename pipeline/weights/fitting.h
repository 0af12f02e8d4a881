#pragma once

#include <utility>

#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"

namespace lv {

/// build(checkpoint), which reads weights and ends with finish(). If that fails, it is done once
/// more over the outline, so that the error lists all tensors that do not fit and not only the
/// first that was met.
template <class Build>
auto build_fitting(const Checkpoint& checkpoint, Build build) {
  try {
    return build(checkpoint);
  } catch (const Error&) {
    build(checkpoint.outline());
    throw;
  }
}

}  // namespace lv
