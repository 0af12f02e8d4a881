#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/compressors/compressors.h"

namespace lv::vision {
namespace {

/// Hands all tokens on, of which the language model's first layers read all and the others a share:
/// see llm/retain/row_pruning.h.
/// Reference: Chen et al., An Image is Worth 1/2 Tokens After Layer 2, ECCV 2024.
class FastV : public Compressor {
 public:
  explicit FastV(Params& params)
      : pruning_{params.get("layer", LayerPruning().layer), params.get("keep", 0.5)} {
    check(pruning_.keep > 0 && pruning_.keep <= 1, ErrorCode::kInvalidArgument,
          "fastv.keep: expected more than 0, at most 1, got " + std::to_string(pruning_.keep));
    check(pruning_.layer >= 1, ErrorCode::kInvalidArgument,
          "fastv.layer: expected at least 1, behind which tokens are dropped, got " +
              std::to_string(pruning_.layer));
  }

  /// The report counts what the later layers read. Nothing else stands for a token.
  VisualContext map(ClipTokens clip) const override {
    CompressedTokens all = compressed(std::move(clip.visual));
    all.pruning = pruning_;
    const int64_t count = all.embeddings.size(0);
    all.reports.push_back({"fastv", pruning_.keep, count, left_of(count, pruning_), 1, 0});
    return all;
  }

 private:
  LayerPruning pruning_;
};

}  // namespace

std::unique_ptr<Compressor> make_fastv(Params params) {
  params.belong_to("fastv");
  auto made = std::make_unique<FastV>(params);
  params.done("fastv");
  return made;
}

}  // namespace lv::vision
