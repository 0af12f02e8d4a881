#include "services/tasks/clip.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "vision/encoders/encode_stage.h"

namespace lv::services {
namespace {

VisualTokens no_tokens() {
  VisualTokens none;
  none.features = at::empty({0, 0});
  none.offsets = at::zeros({1}, at::kInt);
  none.origin = no_origin();
  return none;
}

}  // namespace

VisualTokens joined(std::vector<VisualTokens> parts) {
  std::erase_if(parts, [](const VisualTokens& part) { return part.features.size(0) == 0; });
  if (parts.empty()) return no_tokens();
  const auto source = [](const VisualTokens& part) {
    return part.origin.source[0].item<int32_t>();
  };
  std::ranges::stable_sort(parts, {}, source);
  return vision::joined(parts);
}

CompressedTokens between(const CompressedTokens& tokens, int32_t source, double start_seconds,
                         double end_seconds) {
  const at::Tensor& pts = tokens.origin.pts_seconds;
  const at::Tensor inside = (pts >= start_seconds) & (pts < end_seconds);
  const at::Tensor rows = at::nonzero(inside & (tokens.origin.source == source)).flatten();
  CompressedTokens part;
  part.embeddings = tokens.embeddings.index_select(0, rows);
  part.sizes = tokens.sizes.index_select(0, rows);
  part.origin = select(tokens.origin, rows);
  part.pruning = tokens.pruning;
  return part;
}

}  // namespace lv::services
