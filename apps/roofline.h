#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

namespace lv::apps {

/// What a device does at most, measured now with as many threads as computing uses.
struct Roofline {
  double bytes_per_second = 0;       // read from memory
  double operations_per_second = 0;  // in products of large matrices of `dtype`
};
Roofline measure_roofline(at::Device device, at::ScalarType dtype);

}  // namespace lv::apps
