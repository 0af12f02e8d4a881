#include "llm/kernels/attend_rows.h"

#include <algorithm>
#include <cmath>

namespace lv::llm {

void attend_rows(const RunningRows& rows, const KeyBlock& block) {
  float scores[kBlockKeys];
  for (int64_t row = 0; row < rows.rows; ++row) {
    const float* query = rows.queries + row * rows.width;
    float largest = rows.largest[row];
    for (int64_t t = 0; t < block.count; ++t) {
      float score = 0;
      for (int64_t d = 0; d < rows.width; ++d) score += query[d] * block.keys[t][d];
      scores[t] = score;
      largest = std::max(largest, score);
    }
    float* sums = rows.sums + row * rows.width;
    const float shrink = std::exp(rows.largest[row] - largest);
    float weights = rows.weights[row] * shrink;
    for (int64_t d = 0; d < rows.width; ++d) sums[d] *= shrink;
    for (int64_t t = 0; t < block.count; ++t) {
      const float weight = std::exp(scores[t] - largest);
      weights += weight;
      for (int64_t d = 0; d < rows.width; ++d) sums[d] += weight * block.values[t][d];
    }
    rows.weights[row] = weights;
    rows.largest[row] = largest;
  }
}

}  // namespace lv::llm
