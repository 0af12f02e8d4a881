#pragma once

#include <string>
#include <string_view>

#include "pipeline/base/error.h"
#include "pipeline/weights/checkpoint.h"

namespace lv {

/// build(checkpoint), which reads weights and ends with finish(). If that fails, it is done once
/// more over the outline, so that the error lists all tensors that do not fit and not only the
/// first that was met. Every error begins with the checkpoint's name.
template <class Build>
auto build_fitting(const Checkpoint& checkpoint, Build build) {
  const auto named = [&](const Error& problem) {
    const std::string_view text = problem.what();
    if (text.starts_with(checkpoint.name())) return problem;
    return Error(problem.code(), checkpoint.name() + ": " + std::string(text));
  };
  try {
    return build(checkpoint);
  } catch (const Error& first) {
    try {
      build(checkpoint.outline());
    } catch (const Error& all) {
      throw named(all);
    }
    throw named(first);
  }
}

}  // namespace lv
