#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "vision/compressors/budget.h"
#include "vision/compressors/compressors.h"
#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

/// The largest grid of about the same shape that fits a budget of cells.
PatchGrid shrunk(const PatchGrid& grid, int64_t budget) {
  const double side = std::sqrt(static_cast<double>(budget) / (1.0 * grid.rows * grid.columns));
  const auto rows =
      std::clamp<int64_t>(std::llround(grid.rows * side), 1, std::min<int64_t>(grid.rows, budget));
  const auto columns = std::clamp<int64_t>(budget / rows, 1, grid.columns);
  return {static_cast<int32_t>(rows), static_cast<int32_t>(columns)};
}

/// Averages over a coarser grid: the baseline that looks at places only. Cell (r, c) of a grid of R
/// rows goes to row r R' / R of R', and likewise for columns.
class Pool : public TokenCompressor {
 public:
  explicit Pool(Params& params) : budget_(params, "pool") {
    check(!budget_.over_clip(), ErrorCode::kInvalidArgument,
          "pool.over: expected picture, got clip");
  }

  VisualTokens reduce(const VisualTokens& tokens) const override {
    const auto begin = std::chrono::steady_clock::now();
    const at::Tensor offsets = tokens.offsets.cpu().contiguous();
    std::vector<int64_t> row_of;
    Grouping grouping;
    for (size_t p = 0; p < tokens.grids.size(); ++p) {
      const PatchGrid& grid = tokens.grids[p];
      const int64_t cells = offsets[p + 1].item<int64_t>() - offsets[p].item<int64_t>();
      check(cells == static_cast<int64_t>(grid.rows) * grid.columns, ErrorCode::kInvalidArgument,
            "pool: expected one token a cell in picture " + std::to_string(p) + ", got " +
                std::to_string(cells));
      if (cells == 0) continue;
      const PatchGrid to = shrunk(grid, budget_.of(cells));
      for (int64_t r = 0; r < grid.rows; ++r) {
        for (int64_t c = 0; c < grid.columns; ++c) {
          row_of.push_back(grouping.count + r * to.rows / grid.rows * to.columns +
                           c * to.columns / grid.columns);
        }
      }
      grouping.count += static_cast<int64_t>(to.rows) * to.columns;
    }
    grouping.row_of = at::tensor(row_of, at::kLong).to(tokens.features.device());
    return reported(grouped(tokens, grouping), "pool", budget_.keep(tokens), tokens, grouping,
                    begin);
  }

 private:
  Budget budget_;
};

}  // namespace

std::unique_ptr<Compressor> make_pool(Params params) {
  auto made = std::make_unique<Pool>(params);
  params.done("pool");
  return made;
}

}  // namespace lv::vision
