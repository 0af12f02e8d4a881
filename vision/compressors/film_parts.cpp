#include "vision/compressors/film_parts.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "vision/compressors/grouping.h"

namespace lv::vision {

std::vector<FrameRange> segments_of(const at::Tensor& frames, double threshold, int64_t least) {
  const at::Tensor unit = unit_rows(frames);
  const int64_t count = unit.size(0);
  const at::Tensor cosines =
      (unit.slice(0, 0, count - 1) * unit.slice(0, 1)).sum(1).cpu().contiguous();
  const float* cosine = cosines.const_data_ptr<float>();
  std::vector<int64_t> cuts, others;  // frames that are the last of their part, or not
  for (int64_t f = 0; f + 1 < count; ++f) {
    (cosine[f] < static_cast<float>(threshold) ? cuts : others).push_back(f);
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](int64_t a, int64_t b) { return cosine[a] < cosine[b]; });
  for (const int64_t f : others) {
    if (static_cast<int64_t>(cuts.size()) + 1 >= least) break;
    cuts.push_back(f);
  }
  std::sort(cuts.begin(), cuts.end());
  cuts.push_back(count - 1);
  std::vector<FrameRange> segments;
  int64_t first = 0;
  for (const int64_t last : cuts) {
    segments.push_back({first, last + 1});
    first = last + 1;
  }
  return segments;
}

StillWindows still_windows(const at::Tensor& alike, int64_t longest) {
  const at::Tensor same = alike.cpu().contiguous();
  const int64_t frames = same.size(0) + 1;
  std::vector<int64_t> saved(static_cast<size_t>(frames));  // by frames up to and with this one
  std::vector<int64_t> first(static_cast<size_t>(frames));  // of the window that ends here
  const auto before = [&](int64_t frame) {
    return frame > 0 ? saved[static_cast<size_t>(frame - 1)] : 0;
  };
  for (int64_t last = 0; last < frames; ++last) {
    int64_t best = before(last), best_first = last;
    at::Tensor still;  // [N], throughout the window
    for (int64_t f = last - 1; f >= 0 && last - f < longest; --f) {
      still = still.defined() ? still.logical_and(same[f]) : same[f];
      const int64_t places = still.sum().item<int64_t>();
      if (places == 0) break;
      const int64_t gain = before(f) + places * (last - f);
      if (gain > best) {
        best = gain;
        best_first = f;
      }
    }
    saved[static_cast<size_t>(last)] = best;
    first[static_cast<size_t>(last)] = best_first;
  }
  StillWindows found;
  found.saved = saved.back();
  for (int64_t last = frames - 1; last >= 0; last = found.windows.back().first - 1) {
    found.windows.push_back({first[static_cast<size_t>(last)], last + 1});
  }
  std::reverse(found.windows.begin(), found.windows.end());
  return found;
}

}  // namespace lv::vision
