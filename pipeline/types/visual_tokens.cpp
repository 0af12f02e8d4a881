#include "pipeline/types/visual_tokens.h"

#include <ATen/ATen.h>

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

}  // namespace lv
