#include "services/tasks/shrinking.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "vision/preprocess/resample.h"

namespace lv::services {

TEST_CASE("pictures are made smaller, never larger, and keep their proportions") {
  CHECK(shrunk_sides(1080, 1920, 960) == std::pair<int64_t, int64_t>(540, 960));
  CHECK(shrunk_sides(1920, 1080, 100) == std::pair<int64_t, int64_t>(100, 56));
  CHECK(shrunk_sides(3, 4000, 100) == std::pair<int64_t, int64_t>(1, 100));
  CHECK(shrunk_sides(48, 64, 64) == std::pair<int64_t, int64_t>(48, 64));
  CHECK(shrunk_sides(48, 64, 0) == std::pair<int64_t, int64_t>(48, 64));

  const at::Tensor pixels =
      at::arange(2 * 8 * 6 * 3, at::kLong).remainder(251).to(at::kByte).view({2, 8, 6, 3});
  CHECK(shrunk(pixels, 8).is_same(pixels));
  const at::Tensor small = shrunk(pixels, 4);
  CHECK(small.sizes() == at::IntArrayRef({2, 4, 3, 3}));
  CHECK(at::equal(small[1], vision::resample(pixels[1], 4, 3, vision::Filter::kBicubic)));
}

}  // namespace lv::services
