#include "llm/models/decoder.h"
#include "llm/models/models.h"

namespace lv::llm {

/// Reference: Touvron et al., LLaMA, arXiv 2302.13971. SmolLM2 and TinyLlama are of this family.
std::unique_ptr<CausalLm> make_llama(const Checkpoint& checkpoint, const LayerPlan& plan) {
  return make_decoder(checkpoint, plan, {});
}

}  // namespace lv::llm
