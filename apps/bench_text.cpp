#include "apps/bench_model.h"
#include "llm/tokenizer/tokenizer.h"

namespace lv::apps {

std::vector<int64_t> tokenize(const Checkpoint& checkpoint, const std::string& text) {
  return llm::load_tokenizer(checkpoint)->encode(text);
}

}  // namespace lv::apps
