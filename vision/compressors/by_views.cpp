#include <ATen/ATen.h>

#include <utility>

#include "vision/compressors/trained.h"

namespace lv::vision {
namespace {

class ByViews : public Compressor {
 public:
  ByViews(CompressorPtr one, CompressorPtr several)
      : one_(std::move(one)), several_(std::move(several)) {}

  VisualContext map(ClipTokens clip) const override {
    const at::Tensor& source = clip.visual.origin.source;
    const bool alone = source.size(0) == 0 || (source == source[0]).all().item<bool>();
    return (alone || !clip.question ? one_ : several_)->map(std::move(clip));
  }

 private:
  CompressorPtr one_, several_;
};

}  // namespace

CompressorPtr make_by_views(CompressorPtr one, CompressorPtr several) {
  return std::make_shared<ByViews>(std::move(one), std::move(several));
}

}  // namespace lv::vision
