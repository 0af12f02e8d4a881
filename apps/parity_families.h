#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

#include "pipeline/weights/placement.h"
#include "pipeline/weights/tensor_store.h"

namespace lv::apps {

/// A folder of tests' reference: a model, inputs, and what the reference implementation makes of
/// them.
struct Fixture {
  std::string model_folder;
  TensorStorePtr inputs;
  Placement placement;  // where the model is to compute, and in which type

  /// An input by name. Throws kNotFound.
  at::Tensor input(const std::string& name) const;
};

/// Outputs by the names that the fixture's about.json gives them.
using Outputs = std::map<std::string, at::Tensor>;

/// What Longview makes of a fixture of one family. One entry of the table for each family that it
/// knows.
using Family = Outputs (*)(const Fixture& fixture);
const std::map<std::string, Family>& families();

}  // namespace lv::apps
