#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "pipeline/base/json.h"
#include "pipeline/base/registry.h"

namespace lv::llm {

/// Chooses which tokens of a prompt the layers go on remembering once all of it was read.
/// Immutable.
class Retention {
 public:
  virtual ~Retention() = default;

  /// Queries at the prompt's end whose attention tells what is important; at least 1.
  virtual int64_t window() const = 0;

  /// `importance`, for each layer: how much each of N tokens was attended to by those queries, [N]
  /// float32 -> for each layer the tokens it keeps [k] int64 ascending, on the CPU.
  virtual std::vector<at::Tensor> kept(const std::vector<at::Tensor>& importance) const = 0;
};

/// The methods there are, by `kind`: settings, and the number of layers or 0 if it is not known.
const Registry<Retention, const Json&, int64_t>& retentions();

/// From settings with a `kind`. Throws kInvalidArgument that names the setting.
std::unique_ptr<Retention> make_retention(const Json& settings, int64_t layers = 0);

std::unique_ptr<Retention> make_prefix_kv(const Json& settings, int64_t layers);

}  // namespace lv::llm
