#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lv::vision {

// How films fall into parts of consecutive frames.

/// Frames [first, last).
struct FrameRange {
  int64_t first, last;
};

/// Cuts where the cosine of neighbouring rows of `frames` [F, D], one a frame, is below
/// `threshold`, then, if that makes fewer than `least` parts, where it is smallest of all that is
/// left. Ties cut earlier.
/// Reference: Fan et al., FlashVID, ICLR 2026, dynamic segmentation.
std::vector<FrameRange> segments_of(const at::Tensor& frames, double threshold, int64_t least);

/// Parts in which many places hold still, and what that saves.
struct StillWindows {
  std::vector<FrameRange> windows;  // all frames, in order
  int64_t saved = 0;                // tokens
};

/// `alike` [F - 1, N] bool: whether each place of a frame looks as in the next. A window of W
/// frames in which n places are alike throughout saves n (W - 1) tokens; these windows, of at most
/// `longest` frames, save most of all. Of equal ones, a frame stays by itself before it joins, and
/// shorter windows come before longer.
/// Reference: Shao et al., HoliTom, NeurIPS 2025, global redundancy-aware segmentation.
StillWindows still_windows(const at::Tensor& alike, int64_t longest);

}  // namespace lv::vision
