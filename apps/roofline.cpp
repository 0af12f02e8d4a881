#include "apps/roofline.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>

namespace lv::apps {
namespace {

/// The shortest of a few runs, in seconds; `run` ends when its result is there.
template <class Run>
double seconds_of(const Run& run) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count());
  }
  return best;
}

}  // namespace

Roofline measure_roofline(at::Device device, at::ScalarType dtype) {
  const int64_t floats = device.is_cpu() ? int64_t{1} << 26 : int64_t{1} << 30;
  const int64_t side = device.is_cpu() ? 1024 : 8192;
  Roofline roof;
  {
    const at::Tensor memory = at::ones({floats}, device);
    roof.bytes_per_second =
        static_cast<double>(memory.nbytes()) / seconds_of([&] { memory.sum().item<float>(); });
  }
  const at::Tensor a = at::ones({side, side}, at::device(device).dtype(dtype));
  const double operations = 2.0 * static_cast<double>(side * side * side);
  roof.operations_per_second = operations / seconds_of([&] { at::mm(a, a)[0][0].item<float>(); });
  return roof;
}

}  // namespace lv::apps
