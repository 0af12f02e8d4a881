#include "llm/engine/grid_positions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

namespace lv::llm {
namespace {

/// Rows [first, last) of one time.
struct Frame {
  double seconds = 0;
  int64_t first = 0, last = 0;
};

/// Appends a picture's time, and its rows and columns counted from `base`; the first number behind
/// those.
int64_t append_picture(const at::Tensor& boxes, int64_t time, int64_t base,
                       std::vector<at::Tensor>& places) {
  const at::Tensor corners = boxes.cpu().to(at::kDouble);  // [m, 4]
  const auto along = [&](int64_t low, int64_t high) {
    const at::Tensor begin = corners.select(1, low), end = corners.select(1, high);
    const double smallest = (end - begin).clamp_min(1e-6).min().item<double>();
    const double count = std::max(1.0, std::round(1 / smallest));
    return ((begin + end) / 2 * count).floor().clamp(0, count - 1).to(at::kLong) + base;
  };
  const at::Tensor rows = along(1, 3), columns = along(0, 2);
  places.push_back(at::stack({at::full_like(rows, time), rows, columns}, 1));
  return std::max(rows.max().item<int64_t>(), columns.max().item<int64_t>()) + 1;
}

/// The step between most frames, in seconds.
double usual_step(const std::vector<Frame>& frames) {
  std::vector<double> steps;
  for (size_t i = 1; i < frames.size(); ++i) {
    steps.push_back(std::abs(frames[i].seconds - frames[i - 1].seconds));
  }
  const auto middle = steps.begin() + static_cast<int64_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

/// Appends the frames of one source, each as many steps behind the one before as lie between them.
int64_t append_frames(const std::vector<Frame>& frames, const at::Tensor& boxes,
                      double tokens_per_second, int64_t base, std::vector<at::Tensor>& places) {
  const double step = frames.size() > 1 ? usual_step(frames) : 1;
  const int64_t interval = std::llround(step * tokens_per_second);
  int64_t behind = base, time = base;
  for (size_t i = 0; i < frames.size(); ++i) {
    if (i > 0) {
      const double since = frames[i].seconds - frames[i - 1].seconds;
      time += interval * std::max<int64_t>(std::llround(since / step), 0);
    }
    const at::Tensor own = boxes.slice(0, frames[i].first, frames[i].last);
    behind = std::max(behind, append_picture(own, time, base, places));
  }
  return behind;
}

/// The same for every picture and film in `tokens`.
int64_t append_pictures(const CompressedTokens& tokens, double tokens_per_second, int64_t next,
                        std::vector<at::Tensor>& places) {
  const int64_t count = tokens.embeddings.size(0);
  const at::Tensor pts = tokens.origin.pts_seconds.cpu().contiguous();
  const at::Tensor source = tokens.origin.source.cpu().contiguous();
  const double* times = pts.const_data_ptr<double>();
  const int32_t* sources = source.const_data_ptr<int32_t>();
  for (int64_t first = 0; first < count;) {
    std::vector<Frame> frames;
    int64_t i = first;
    for (; i < count && sources[i] == sources[first]; ++i) {
      if (frames.empty() || times[i] != frames.back().seconds) frames.push_back({times[i], i, i});
      frames.back().last = i + 1;
    }
    next = append_frames(frames, tokens.origin.box, tokens_per_second, next, places);
    first = i;
  }
  return next;
}

}  // namespace

at::Tensor grid_positions(const TokenSequence& sequence, double tokens_per_second) {
  std::vector<at::Tensor> places;
  int64_t next = 0;
  for (const auto& segment : sequence.segments) {
    if (const auto* visual = std::get_if<CompressedTokens>(&segment)) {
      next = append_pictures(*visual, tokens_per_second, next, places);
      continue;
    }
    const int64_t count = std::get<TextTokens>(segment).ids.size(0);
    places.push_back(at::arange(next, next + count, at::kLong).unsqueeze(1).expand({count, 3}));
    next += count;
  }
  return places.empty() ? at::empty({0, 3}, at::kLong) : at::cat(places);
}

at::Tensor positions_beside_worn(const TokenSequence& sequence) {
  std::vector<at::Tensor> places{at::empty({0}, at::kLong)};
  int64_t next = 0;
  for (const auto& segment : sequence.segments) {
    const auto* text = std::get_if<TextTokens>(&segment);
    const int64_t count = text != nullptr ? text->ids.size(0)
                                          : std::get<CompressedTokens>(segment).embeddings.size(0);
    places.push_back(at::arange(next, next + count, at::kLong));
    next += text == nullptr && count == 0 ? 1 : count;
  }
  return at::cat(places).unsqueeze(1);
}

}  // namespace lv::llm
