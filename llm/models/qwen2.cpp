#include "llm/models/decoder.h"
#include "llm/models/models.h"

namespace lv::llm {

/// Llama with biases on q, k and v, and windows in the later layers of some checkpoints.
/// Reference: Yang et al., Qwen2 Technical Report, arXiv 2407.10671.
std::unique_ptr<CausalLm> make_qwen2(const Checkpoint& checkpoint, const LayerPlan& plan) {
  return make_decoder(checkpoint, plan, {.windows = qwen_windows(checkpoint.config())});
}

}  // namespace lv::llm
