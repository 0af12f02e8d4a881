#include "pipeline/types/visual_tokens.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace lv {

TokenOrigin no_origin() {
  return {at::empty({0}, at::kDouble), at::empty({0}, at::kInt), at::empty({0, 4}),
          at::empty({0}, at::kByte), at::empty({0, 2}, at::kInt)};
}

TokenOrigin select(const TokenOrigin& origin, const at::Tensor& rows) {
  return {origin.pts_seconds.index_select(0, rows), origin.source.index_select(0, rows),
          origin.box.index_select(0, rows), origin.flags.index_select(0, rows),
          origin.tile.index_select(0, rows)};
}

TokenOrigin joined(const std::vector<TokenOrigin>& parts) {
  if (parts.empty()) return no_origin();
  const auto column = [&](at::Tensor TokenOrigin::*field) {
    std::vector<at::Tensor> all;
    for (const TokenOrigin& part : parts) all.push_back(part.*field);
    return at::cat(all);
  };
  return {column(&TokenOrigin::pts_seconds), column(&TokenOrigin::source),
          column(&TokenOrigin::box), column(&TokenOrigin::flags), column(&TokenOrigin::tile)};
}

int64_t left_of(int64_t tokens, const LayerPruning& pruning) {
  if (tokens == 0) return 0;
  const auto left = std::llrint(static_cast<double>(tokens) * pruning.keep);
  return std::clamp<int64_t>(left, 1, tokens);
}

}  // namespace lv
