#pragma once

#include <string>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv::apps {

/// A model of Llama's family with random weights, to time a shape whose weights are not here:
/// "llama-2-7b", "llama-3-8b", "smollm2-135m". Throws kNotFound that lists the names.
Checkpoint random_model(const std::string& shape, const Placement& placement);

const std::vector<std::string>& random_models();

}  // namespace lv::apps
