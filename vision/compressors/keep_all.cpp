#include <ATen/ATen.h>

#include "vision/compressors/compressors.h"

namespace lv::vision {
namespace {

/// Hands every token on as it is: what all methods are measured against.
class KeepAll : public Compressor {
 public:
  VisualContext map(ClipTokens clip) const override {
    const at::Tensor& features = clip.visual.features;
    const int64_t count = features.size(0);
    return CompressedTokens{features,
                            at::ones({count}, features.options().dtype(at::kFloat)),
                            clip.visual.origin,
                            {{"keep_all", 1, count, count, 1, 0}}};
  }
};

}  // namespace

std::unique_ptr<Compressor> make_keep_all(Params params) {
  params.done("keep_all");
  return std::make_unique<KeepAll>();
}

}  // namespace lv::vision
