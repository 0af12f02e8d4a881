#include "vision/compressors/diverse_rows.h"

#include <ATen/ATen.h>

#include <limits>

#include "vision/compressors/grouping.h"

namespace lv::vision {
namespace {

constexpr int64_t kDistancesAtOnce = 1 << 24;  // bounds the memory that a call takes
constexpr float kPicked = -std::numeric_limits<float>::infinity();

/// distance: [f, N, N], from picked (row) to others.
at::Tensor pick(const at::Tensor& distance, int64_t count) {
  const int64_t tokens = distance.size(1);
  std::vector<at::Tensor> picked{
      std::get<0>(distance.topk(2, 1, /*largest=*/false)).select(1, 1).argmax(1)};
  at::Tensor nearest;  // [f, N], to any that is picked
  while (true) {
    const at::Tensor& last = picked.back();
    const at::Tensor to_last =
        distance.gather(1, last.view({-1, 1, 1}).expand({-1, 1, tokens})).squeeze(1);
    nearest = nearest.defined() ? at::minimum(nearest, to_last) : to_last;
    nearest.scatter_(1, last.unsqueeze(1), kPicked);
    if (static_cast<int64_t>(picked.size()) == count) break;
    picked.push_back(nearest.argmax(1));
  }
  return std::get<0>(at::stack(picked, 1).sort(1));
}

}  // namespace

at::Tensor diverse_rows(const at::Tensor& features, const at::Tensor& weight, int64_t count) {
  const int64_t frames = features.size(0), tokens = features.size(1);
  const at::Tensor all = at::arange(tokens, features.options().dtype(at::kLong));
  if (count >= tokens) return all.expand({frames, tokens});
  const at::Tensor unit = unit_rows(features);
  const int64_t at_once = std::max<int64_t>(1, kDistancesAtOnce / (tokens * tokens));
  std::vector<at::Tensor> picked;
  for (int64_t f = 0; f < frames; f += at_once) {
    const at::Tensor some = unit.slice(0, f, f + at_once);
    at::Tensor distance = 1 - at::matmul(some, some.transpose(1, 2));
    if (weight.defined()) {
      distance *= weight.slice(0, f, f + at_once).to(at::kFloat).unsqueeze(1);
    }
    picked.push_back(pick(distance, count));
  }
  return at::cat(picked);
}

}  // namespace lv::vision
