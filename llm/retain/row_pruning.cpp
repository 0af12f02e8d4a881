#include "llm/retain/row_pruning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "pipeline/base/error.h"

namespace lv::llm {

std::optional<RowPruning> row_pruning(const TokenSequence& sequence) {
  std::optional<LayerPruning> asked;
  std::vector<at::Tensor> rows;
  int64_t visual = 0, length = 0;
  for (const auto& segment : sequence.segments) {
    if (const auto* text = std::get_if<TextTokens>(&segment)) {
      length += text->ids.size(0);
      continue;
    }
    const auto& tokens = std::get<CompressedTokens>(segment);
    const int64_t count = tokens.embeddings.size(0);
    if (count == 0) continue;
    check(!asked || *asked == tokens.pruning, ErrorCode::kInvalidArgument,
          "fastv: expected one layer and one keep for all visual tokens of a prompt, got several");
    asked = tokens.pruning;
    rows.push_back(at::arange(length, length + count, at::kLong));
    visual += count;
    length += count;
  }
  if (!asked) return std::nullopt;
  RowPruning pruning{asked->layer, left_of(visual, *asked), at::cat(rows)};
  if (pruning.rows[-1].item<int64_t>() == length - 1) {  // what comes next is read from it
    pruning.rows = pruning.rows.slice(0, 0, -1);
    --pruning.keep;
  }
  if (pruning.keep >= pruning.rows.size(0)) return std::nullopt;
  return pruning;
}

at::Tensor rows_left(const RowPruning& pruning, const at::Tensor& attended) {
  const at::Tensor rows = pruning.rows.to(attended.device());
  const at::Tensor order = at::argsort(attended.index_select(0, rows).nan_to_num(), /*stable=*/true,
                                       0, /*descending=*/true);
  const at::Tensor dropped = rows.index_select(0, order.slice(0, pruning.keep));
  return at::nonzero(at::ones_like(attended, at::kBool).index_fill_(0, dropped, false)).flatten();
}

}  // namespace lv::llm
