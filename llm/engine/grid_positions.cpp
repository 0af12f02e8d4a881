#include "llm/engine/grid_positions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

namespace lv::llm {
namespace {

/// Appends rows and columns of one picture, counted from `base`; the first number behind them.
int64_t append_picture(const at::Tensor& boxes, int64_t base, std::vector<at::Tensor>& places) {
  const at::Tensor corners = boxes.cpu().to(at::kDouble);  // [m, 4]
  const auto along = [&](int64_t low, int64_t high) {
    const at::Tensor begin = corners.select(1, low), end = corners.select(1, high);
    const double smallest = (end - begin).clamp_min(1e-6).min().item<double>();
    const double count = std::max(1.0, std::round(1 / smallest));
    return ((begin + end) / 2 * count).floor().clamp(0, count - 1).to(at::kLong) + base;
  };
  const at::Tensor rows = along(1, 3), columns = along(0, 2);
  places.push_back(at::stack({at::full_like(rows, base), rows, columns}, 1));
  return places.back().max().item<int64_t>() + 1;
}

/// The same for every picture in `tokens`.
int64_t append_pictures(const CompressedTokens& tokens, int64_t next,
                        std::vector<at::Tensor>& places) {
  const int64_t count = tokens.embeddings.size(0);
  const at::Tensor pts = tokens.origin.pts_seconds.cpu().contiguous();
  const at::Tensor source = tokens.origin.source.cpu().contiguous();
  const double* times = pts.const_data_ptr<double>();
  const int32_t* sources = source.const_data_ptr<int32_t>();
  for (int64_t first = 0; first < count;) {
    int64_t last = first + 1;
    while (last < count && times[last] == times[first] && sources[last] == sources[first]) ++last;
    next = append_picture(tokens.origin.box.slice(0, first, last), next, places);
    first = last;
  }
  return next;
}

}  // namespace

at::Tensor grid_positions(const TokenSequence& sequence) {
  std::vector<at::Tensor> places;
  int64_t next = 0;
  for (const auto& segment : sequence.segments) {
    if (const auto* visual = std::get_if<CompressedTokens>(&segment)) {
      next = append_pictures(*visual, next, places);
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
