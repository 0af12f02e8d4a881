#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lv::services {

/// How many tokens a source's pictures make at one size, for each share of them that may be kept.
struct PictureCost {
  double detail = 1;           // what share of the largest size's tokens it has, before any go
  std::vector<int64_t> frame;  // of one frame
  std::vector<int64_t> after;  // behind the last one, whatever their number
};

struct SourceCost {
  int64_t most_frames = 1;         // 1 for a still
  std::vector<PictureCost> sizes;  // at least one, the largest first
};

struct SourcePlan {
  int64_t frames = 1;
  size_t size = 0;  // which of the sizes
};

struct VisualPlan {
  std::vector<SourcePlan> sources;
  size_t keep = 0;     // which of the shares
  int64_t tokens = 0;  // of all
};

/// The best plan of at most `most_tokens`: how often each source is looked at, how large, which
/// says how many tiles a page has where a model cuts it, and what share of the tokens is kept of
/// all. Half of a film's frames are worth as much as what is lost to a fifth of the tokens, whether
/// merging or a smaller picture takes them: plans are ranked by the sum over sources of
/// log2(frames) minus loss_of(share * detail), and a thousandth for each that is not at its largest
/// size, since merging chooses what to take; then by fewer tokens, a larger share, more frames of
/// the first sources, larger pictures of the first sources. Films of more than 16 frames are
/// planned in steps of an eighth. Exact: what is ranked lower by every choice that follows is
/// dropped, nothing else. Throws kInvalidArgument that says how many tokens are needed, if one
/// frame of each source at the smallest size and share is too many.
VisualPlan plan_visual(const std::vector<SourceCost>& sources, const std::vector<double>& keeps,
                       int64_t most_tokens);

/// What keeping a share costs, in thousandths of halving a film's frames: nothing for 1, 250 for a
/// half, 1000 for a fifth; between the known points it follows the logarithm of the share.
int64_t loss_of(double keep);

}  // namespace lv::services
