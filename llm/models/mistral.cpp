#include "llm/models/decoder.h"
#include "llm/models/models.h"

namespace lv::llm {

/// Llama with a window over the nearest tokens in every layer.
/// Reference: Jiang et al., Mistral 7B, arXiv 2310.06825.
std::unique_ptr<CausalLm> make_mistral(const Checkpoint& checkpoint, const LayerPlan& plan) {
  const int64_t window = checkpoint.config().get("sliding_window", 0);
  return make_decoder(checkpoint, plan,
                      {.windows = declared_windows(checkpoint.config(), window, 0)});
}

}  // namespace lv::llm
