#include "llm/models/models.h"

#include "pipeline/base/error.h"
#include "pipeline/weights/fitting.h"
#include "pipeline/weights/model_parts.h"

namespace lv::llm {

const Registry<CausalLm, const Checkpoint&, const LayerPlan&>& models() {
  static const Registry<CausalLm, const Checkpoint&, const LayerPlan&> all{
      "language model architecture",
      {
          {"LlamaForCausalLM", make_llama},
          {"MambaForCausalLM", make_mamba},
          {"MistralForCausalLM", make_mistral},
          {"Qwen2ForCausalLM", make_qwen2},
          {"Qwen3ForCausalLM", make_qwen3},
          {"SmolLM3ForCausalLM", make_smollm3},
      }};
  return all;
}

at::Tensor CausalLm::states(const PackedBatch&, Memory, int64_t) const {
  throw Error(ErrorCode::kUnimplemented, "model: the states of its layers are not to be had");
}

std::unique_ptr<CausalLm> make_model(const Checkpoint& checkpoint, const LayerPlan& plan) {
  return build_fitting(checkpoint, [&](const Checkpoint& all) {
    const Checkpoint text = text_part(all);
    auto model = models().make(text.architecture(), text, plan);
    // A tied output layer may be stored a second time; old files keep the RoPE frequencies.
    text.finish({"lm_head.weight", "rotary_emb.inv_freq"});
    return model;
  });
}

}  // namespace lv::llm
