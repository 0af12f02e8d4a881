#include "vision/encoders/layer_merging.h"

#include <string>

#include "pipeline/base/error.h"

namespace lv::vision {

std::vector<int64_t> pairs_per_layer(const LayerMerging& merging, double patches, int64_t layers) {
  check(merging.keep > 0 && merging.keep <= 1, ErrorCode::kInvalidArgument,
        "merging.keep: expected more than 0, at most 1, got " + std::to_string(merging.keep));
  // In the order in which the release computes it: rounding decides.
  const auto mean =
      static_cast<int64_t>(patches * (1 - merging.keep) / static_cast<double>(layers));
  std::vector<int64_t> pairs(static_cast<size_t>(layers), mean);
  if (merging.schedule == LayerMerging::Schedule::kDecreasing && layers > 1) {
    const double step = -2.0 * static_cast<double>(mean) / static_cast<double>(layers - 1);
    for (int64_t i = 0; i < layers; ++i) {
      pairs[static_cast<size_t>(i)] =
          static_cast<int64_t>(2.0 * static_cast<double>(mean) + step * static_cast<double>(i));
    }
  }
  return pairs;
}

}  // namespace lv::vision
