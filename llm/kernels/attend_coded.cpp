#include "llm/kernels/attend_coded.h"

#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lv::llm {
namespace {

constexpr int64_t kMostTokens = 128;  // of a page

float number(const uint16_t* half) { return c10::detail::fp16_ieee_to_fp32_value(*half); }

/// out += weight * codes of a vector.
void add_codes(const uint8_t* codes, const KiviFormat& format, float weight, float* out) {
  const int64_t bytes = format.vector_bytes();
  const int mask = (1 << format.bits) - 1;
  for (int64_t i = 0; i < format.group; ++i) {
    const int code = codes[i % bytes] >> (i / bytes * format.bits) & mask;
    out[i] += weight * static_cast<float>(code);
  }
}

}  // namespace

void attend_coded(const RunningRows& rows, const CodedBlock& block) {
  const KiviFormat& format = block.format;
  const int64_t bytes = format.vector_bytes();
  const int64_t groups = rows.width / format.group;  // of a value
  float scores[kMostTokens];
  for (int64_t row = 0; row < rows.rows; ++row) {
    const float* query = rows.queries + row * rows.width;
    std::fill(scores, scores + format.group, 0.0F);
    float zero = 0;
    for (int64_t d = 0; d < rows.width; ++d) {
      zero += query[d] * number(block.keys.zeros + d);
      add_codes(block.keys.codes + d * bytes, format, query[d] * number(block.keys.scales + d),
                scores);
    }
    float largest = rows.largest[row];
    for (int64_t t = block.begin; t < block.end; ++t) {
      scores[t] += zero;
      largest = std::max(largest, scores[t]);
    }
    float* sums = rows.sums + row * rows.width;
    const float shrink = std::exp(rows.largest[row] - largest);
    float weights = rows.weights[row] * shrink;
    for (int64_t d = 0; d < rows.width; ++d) sums[d] *= shrink;
    for (int64_t t = block.begin; t < block.end; ++t) {
      const float weight = std::exp(scores[t] - largest);
      weights += weight;
      for (int64_t j = 0; j < groups; ++j) {
        const int64_t vector = j * format.group + t;
        float* sum = sums + j * format.group;
        add_codes(block.values.codes + vector * bytes, format,
                  weight * number(block.values.scales + vector), sum);
        const float added = weight * number(block.values.zeros + vector);
        for (int64_t i = 0; i < format.group; ++i) sum[i] += added;
      }
    }
    rows.weights[row] = weights;
    rows.largest[row] = largest;
  }
}

}  // namespace lv::llm
