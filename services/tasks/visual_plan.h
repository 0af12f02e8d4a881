#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lv::services {

/// How many tokens a source's pictures make, for each share of them that may be kept.
struct SourceCost {
  int64_t most_frames = 1;     // 1 for a still
  std::vector<int64_t> frame;  // of one frame
  std::vector<int64_t> after;  // behind the last one, whatever their number
};

struct VisualPlan {
  std::vector<int64_t> frames;  // of each source, at least 1
  size_t keep = 0;              // which of the shares
  int64_t tokens = 0;           // of all
};

/// The best plan of at most `most_tokens`. Half of a film's frames are worth as much as what is
/// lost to a fifth of the tokens: plans are ranked by the sum over sources of log2(frames) minus
/// loss_of(share); then by fewer tokens, a larger share, more frames of the first sources. Films of
/// more than 16 frames are planned in steps of an eighth. Exact: what is ranked lower by every
/// choice that follows is dropped, nothing else.
/// Throws kInvalidArgument that says how many tokens are needed, if one frame of each source at the
/// smallest share is too many.
VisualPlan plan_visual(const std::vector<SourceCost>& sources, const std::vector<double>& keeps,
                       int64_t most_tokens);

/// What keeping a share costs, in thousandths of halving a film's frames: nothing for 1, 250 for a
/// half, 1000 for a fifth; between the known points it follows the logarithm of the share.
int64_t loss_of(double keep);

}  // namespace lv::services
