#pragma once

#include <cstdint>

namespace lv::llm {

/// Softmax-weighted sums of values under way, of some rows of queries: exact over the keys so far
/// (online softmax, arXiv 1805.02867).
struct RunningRows {
  const float* queries;  // [rows, width], scaled
  float* sums;           // [rows, width]: of values, each weighted by exp(score - largest)
  float* largest;        // [rows]: -inf before the first key
  float* weights;        // [rows]: sum of exp(score - largest)
  int64_t rows;
  int64_t width;  // Dh
};

/// Keys and values of one block, each of `width` floats.
constexpr int64_t kBlockKeys = 64;
struct KeyBlock {
  const float* keys[kBlockKeys];
  const float* values[kBlockKeys];
  int64_t count = 0;
};

void attend_rows(const RunningRows& rows, const KeyBlock& block);

/// The same, eight floats at a time, where has_avx2(). `width` is a multiple of 8.
void attend_rows_avx2(const RunningRows& rows, const KeyBlock& block);

}  // namespace lv::llm
