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
  at::Tensor place = {};  // [count] int64: the token where each row stands, picture after picture;
                          // undefined: the first of its group
  at::Tensor dropped = {};  // [M] bool: tokens that left nothing in their row but are counted in
                            // its size; undefined: none
};

/// The tokens after the grouping. `features` [count, D] are the rows that stand for the groups, or
/// undefined for the mean of each group, weighted by size. Sizes and saliency are sums, times means
/// weighted by size, boxes unions, flags are joined, and rows of several tokens are marked kMerged,
/// and kSpread if they are not all of one tile; source and tile are the first token's. On a group
/// of one, all of it is the token's own, bit for bit. The grid of a picture that lost tokens is
/// 0 x 0.
VisualTokens grouped(const VisualTokens& tokens, const Grouping& grouping,
                     const at::Tensor& features = {});

/// Mean over the input tokens of the cosine to the row that stands for them; a zero vector counts
/// as like nothing. 1 if there are no tokens.
double fidelity_of(const at::Tensor& features, const Grouping& grouping,
                   const at::Tensor& embeddings);

/// Appends the report of a method that kept the share `keep`, or was asked to, and began at
/// `begin`.
VisualTokens reported(VisualTokens out, const char* method, double keep, const VisualTokens& tokens,
                      const Grouping& grouping, std::chrono::steady_clock::time_point begin);

/// Groups around one of their members each.
struct CentredGroups {
  at::Tensor centres;  // [k, D]
  at::Tensor sums;     // [k, D], of all members
  at::Tensor counts;   // [k, 1] int64

  /// `features` [n, D]; `places` [k] int64 of the centres among them; `group_of` [n] int64.
  CentredGroups(const at::Tensor& features, const at::Tensor& places, const at::Tensor& group_of);

  /// Of all members, [k, D]; a centre by itself, bit for bit.
  at::Tensor means() const;
  /// Of all but the centre, [k, D]; zeros where there are no others.
  at::Tensor means_of_others() const;
};

/// [n, D] -> [n, D] float32 of length 1; zeros stay.
at::Tensor unit_rows(const at::Tensor& features);

/// The likest row of `staying` [k, D] for each of `going` [n, D], by cosine: [n] int64. Ties take
/// the lower.
at::Tensor likest_of(const at::Tensor& going, const at::Tensor& staying);

}  // namespace lv::vision
