#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>

#include "pipeline/types/visual_tokens.h"

namespace lv::vision {

/// Which output row stands for each input token: all that most methods decide.
struct Grouping {
  at::Tensor row_of;  // [M] int64, each of 0 .. count - 1 at least once
  int64_t count = 0;
};

/// The tokens after the grouping. `features` [count, D] are the rows that stand for the groups, or
/// undefined for the mean of each group. Times are means, boxes unions, flags are joined, and rows
/// of several tokens are marked kMerged, and kSpread if they are not all of one tile; source and
/// tile are the first token's. On a group of one, all of it is the token's own, bit for bit.
CompressedTokens grouped(const VisualTokens& tokens, const Grouping& grouping,
                         const at::Tensor& features = {});

/// Mean over the input tokens of the cosine to the row that stands for them; a zero vector counts
/// as like nothing. 1 if there are no tokens.
double fidelity_of(const at::Tensor& features, const Grouping& grouping,
                   const at::Tensor& embeddings);

/// Appends the report of a method that kept the share `keep`, or was asked to, and began at
/// `begin`.
CompressedTokens reported(CompressedTokens out, const char* method, double keep,
                          const VisualTokens& tokens, const Grouping& grouping,
                          std::chrono::steady_clock::time_point begin);

}  // namespace lv::vision
