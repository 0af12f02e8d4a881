#include "vision/preprocess/tile_allocation.h"

#include <cmath>
#include <numeric>
#include <string>

#include "pipeline/base/error.h"
#include "vision/preprocess/canvas.h"

namespace lv::vision {

std::vector<int64_t> allocate_tiles(const std::vector<PictureSize>& pictures, int64_t side,
                                    int64_t budget) {
  const auto count = static_cast<int64_t>(pictures.size());
  check(count <= budget, ErrorCode::kInvalidArgument,
        "pictures: expected at most " + std::to_string(budget) + " in one request, got " +
            std::to_string(count));
  const auto held = [side](int64_t length) {
    return static_cast<int64_t>(
        std::nearbyint(static_cast<double>(length) / static_cast<double>(side)));
  };
  std::vector<int64_t> tiles;
  for (const PictureSize& picture : pictures) {
    const int64_t own = held(picture.height) * held(picture.width);
    tiles.push_back(own == 1 ? 0 : own);
  }
  const int64_t left = budget - count;
  const int64_t wanted = std::accumulate(tiles.begin(), tiles.end(), int64_t{0});
  if (wanted <= left) return tiles;
  const double share = static_cast<double>(left) / static_cast<double>(wanted);
  for (int64_t& own : tiles) own = static_cast<int64_t>(static_cast<double>(own) * share);
  return tiles;
}

PatchGrid tile_grid(PictureSize picture, int64_t allowance, int64_t side) {
  std::vector<PictureSize> canvases;
  for (int64_t rows = 1; rows <= allowance; ++rows) {
    for (int64_t columns = 1; rows * columns <= allowance; ++columns) {
      if (rows * columns > 1) canvases.push_back({rows * side, columns * side});
    }
  }
  if (canvases.empty()) return {};
  const PictureSize best = best_canvas(picture, canvases);
  return {static_cast<int32_t>(best.height / side), static_cast<int32_t>(best.width / side)};
}

}  // namespace lv::vision
