#pragma once

#include <string>
#include <vector>

#include "pipeline/weights/checkpoint.h"

namespace lv::apps {

/// A model of Llama's family with random weights, to time a shape whose weights are not here:
/// "llama-2-7b", "llama-3-8b", "smollm2-135m"; or one that sees, as LLaVA: "auroracap-7b"
/// (ViT-H/14 at 378 pixels and Llama-2-7B), "tiny-seeing". Throws kNotFound that lists the names.
Checkpoint random_model(const std::string& shape, const Placement& placement);

/// The names; of models that see alone, if `seeing`.
std::vector<std::string> random_models(bool seeing = false);

}  // namespace lv::apps
