#include <ATen/ATen.h>

#include "vision/compressors/compressors.h"

namespace lv::vision {
namespace {

/// Hands every token on as it is: what all methods are measured against.
class KeepAll : public TokenCompressor {
 public:
  VisualTokens reduce(const VisualTokens& tokens) const override {
    const int64_t count = tokens.features.size(0);
    VisualTokens all = tokens;
    all.reports.push_back({"keep_all", 1, count, count, 1, 0});
    return all;
  }
};

}  // namespace

std::unique_ptr<Compressor> make_keep_all(Params params) {
  params.done("keep_all");
  return std::make_unique<KeepAll>();
}

}  // namespace lv::vision
