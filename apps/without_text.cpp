// What stands in where a build has no tokenizers (LV_TEXT=OFF).
#include "apps/bench_model.h"
#include "apps/parity_tokenizer.h"
#include "pipeline/base/error.h"

namespace lv::apps {

std::vector<int64_t> tokenize(const Checkpoint&, const std::string&) {
  throw Error(ErrorCode::kUnimplemented, "this build has no tokenizers; give --ids");
}

Verdict check_tokenizer(const std::string&) { return {0, 0, "this build has no tokenizers"}; }

}  // namespace lv::apps
