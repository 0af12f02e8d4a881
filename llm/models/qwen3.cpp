#include "llm/models/decoder.h"
#include "llm/models/models.h"

namespace lv::llm {

/// Llama with queries and keys normalised per head before they are rotated.
/// Reference: Yang et al., Qwen3 Technical Report, arXiv 2505.09388.
std::unique_ptr<CausalLm> make_qwen3(const Checkpoint& checkpoint, const LayerPlan& plan) {
  return make_decoder(checkpoint, plan,
                      {.windows = qwen_windows(checkpoint.config()), .qk_norm = true});
}

}  // namespace lv::llm
