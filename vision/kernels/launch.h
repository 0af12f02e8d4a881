#pragma once

#include <cstdint>

#include "pipeline/kernels/launch.h"

// As pipeline/kernels/launch.h, for what only vision needs.

namespace lv::vision {

struct UnitMean {
  const void* x;                                    // [groups, heads, tokens, width] by strides
  int64_t group_stride, head_stride, token_stride;  // elements; width is dense
  Element element;
  int64_t groups, heads, tokens, width;
  float* out;  // [groups, tokens, width]
};
/// Means over heads, each of length one; zeros stay. Width: at most kMaxUnitMeanWidth.
void launch_unit_mean(const UnitMean& args, void* stream);
constexpr int64_t kMaxUnitMeanWidth = 1024;

struct RankPairs {
  const float* score;      // [groups, pairs]
  const int64_t* partner;  // [groups, pairs] odd tokens by their own count
  int64_t groups, pairs, merging;
  bool class_token;  // pair 0 never merges, and those that stay are in order
  int64_t* kept;     // [groups, pairs - merging] tokens
  int64_t* merged;   // [groups, merging]
  int64_t* into;     // [groups, merging]
};
/// Pairs: at most kMaxPairs.
void launch_rank_pairs(const RankPairs& args, void* stream);
constexpr int64_t kMaxPairs = 4096;

struct MergeRows {
  const void* features;                 // [groups, tokens, width]
  const void* delta;                    // that is added to them, or null
  const float* sizes;                   // [groups, tokens]
  const int64_t* positions;             // [groups, tokens]
  const int64_t* row_of;                // [groups, places]
  const int64_t *kept, *merged, *into;  // as above
  Element element;
  int64_t groups, tokens, width, places, keeping, merging;
  void* new_features;  // [groups, tokens - merging, width]
  float* new_sizes;
  int64_t* new_positions;
  int64_t* new_row_of;  // [groups, places]
};
/// Width: a multiple of 8. Tokens: at most kMaxTokens.
void launch_merge_rows(const MergeRows& args, void* stream);
constexpr int64_t kMaxTokens = 8192;

struct ResampleAxis {
  const uint8_t* in;  // [outer, in_size, inner], inner dense
  int64_t outer_stride, axis_stride;
  int64_t outer, inner, out_size;
  const int32_t *first, *count;  // [out_size]
  const int32_t* weights;        // [out_size, taps]
  int64_t taps;
  uint8_t* out;  // [outer, out_size, inner]
};
/// Sums of bytes by weights of kResampleBits bits after the point, rounded.
void launch_resample_axis(const ResampleAxis& args, void* stream);
constexpr int kResampleBits = 22;  // 32 less 8 of a pixel less 2 of overshoot

}  // namespace lv::vision
