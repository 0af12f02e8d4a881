#include "apps/measure.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lv::apps {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double milliseconds_since(Clock::time_point start) { return 1000 * seconds_since(start); }

void wait_for(const at::Tensor& values) {
  if (values.numel() > 0) values.flatten().slice(0, 0, 1).cpu();
}

double quantile(std::vector<double> values, double at) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(at * static_cast<double>(values.size() - 1) + 0.5)];
}

Agreement agreement(const at::Tensor& reference, const at::Tensor& got) {
  const at::Tensor apart = (reference.exp() * (reference - got)).sum(1);
  const at::Tensor same = reference.argmax(1).eq(got.argmax(1));
  return {apart.mean().item<double>(), same.to(at::kDouble).mean().item<double>()};
}

}  // namespace lv::apps
