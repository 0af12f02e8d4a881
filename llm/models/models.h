#pragma once

#include <memory>

#include "llm/models/causal_lm.h"
#include "llm/plan/layer_plan.h"
#include "pipeline/base/registry.h"
#include "pipeline/weights/checkpoint.h"

namespace lv::llm {

/// The language models there are, by the architecture that a checkpoint names.
const Registry<CausalLm, const Checkpoint&, const LayerPlan&>& models();

/// The language model of a checkpoint, which may hold other networks too. Throws kNotFound if its
/// architecture is not known, kInvalidArgument if weights are missing, have other shapes, or are
/// left over.
std::unique_ptr<CausalLm> make_model(const Checkpoint& checkpoint, const LayerPlan& plan = {});

std::unique_ptr<CausalLm> make_llama(const Checkpoint& checkpoint, const LayerPlan& plan);
std::unique_ptr<CausalLm> make_mamba(const Checkpoint& checkpoint, const LayerPlan& plan);
std::unique_ptr<CausalLm> make_mistral(const Checkpoint& checkpoint, const LayerPlan& plan);
std::unique_ptr<CausalLm> make_qwen2(const Checkpoint& checkpoint, const LayerPlan& plan);
std::unique_ptr<CausalLm> make_qwen3(const Checkpoint& checkpoint, const LayerPlan& plan);
std::unique_ptr<CausalLm> make_smollm3(const Checkpoint& checkpoint, const LayerPlan& plan);

}  // namespace lv::llm
