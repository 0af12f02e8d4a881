#include "pipeline/kernels/nv12_to_rgb.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "pipeline/kernels/launch.h"
#include "tests/support/is_error.h"

namespace lv {
namespace {

// BT.601 in limited range.
const YuvToRgb kBt601{16, 255.F / 219, 1.59603F, -.39176F, -.81297F, 2.01723F};

struct Planes {
  at::Tensor luma, chroma;
};

Planes noise(int64_t height, int64_t width, bool wide) {
  const int64_t most = wide ? 1 << 16 : 256;
  const auto made = [&](at::IntArrayRef sizes) {
    return at::randint(most, sizes, at::kInt).to(wide ? at::kUInt16 : at::kByte);
  };
  return {made({height, width}), made({(height + 1) / 2, (width + 1) / 2, 2})};
}

}  // namespace

TEST_CASE("a picture of one colour becomes that colour") {
  const at::Tensor luma = at::full({3, 5}, 145, at::kByte);
  const at::Tensor chroma = at::tensor({54, 34}, at::kByte).expand({2, 3, 2}).contiguous();
  const at::Tensor green = at::tensor({0, 255, 1}, at::kByte).expand({3, 5, 3});
  CHECK((nv12_to_rgb(luma, chroma, kBt601).to(at::kInt) - green.to(at::kInt))
            .abs()
            .max()
            .item<int>() <= 1);
}

TEST_CASE("ten bits become what eight do") {
  const Planes eight = noise(6, 9, false);
  const auto ten = [](const at::Tensor& plane) {
    return (plane.to(at::kInt) * 256).to(at::kUInt16);
  };
  CHECK(nv12_to_rgb(ten(eight.luma), ten(eight.chroma), kBt601)
            .equal(nv12_to_rgb(eight.luma, eight.chroma, kBt601)));
}

TEST_CASE("planes that do not fit are refused") {
  const at::Tensor luma = at::zeros({4, 4}, at::kByte);
  CHECK_THROWS_MATCHES(nv12_to_rgb(luma, at::zeros({2, 3, 2}, at::kByte), kBt601), Error,
                       IsError(ErrorCode::kInvalidArgument, "chroma"));
  CHECK_THROWS_MATCHES(nv12_to_rgb(luma, at::zeros({2, 2, 2}, at::kInt), kBt601), Error,
                       IsError(ErrorCode::kInvalidArgument, "chroma"));
  CHECK_THROWS_MATCHES(
      nv12_to_rgb(at::zeros({0, 4}, at::kByte), at::zeros({0, 2, 2}, at::kByte), kBt601), Error,
      IsError(ErrorCode::kInvalidArgument, "luma"));
}

TEST_CASE("luma and chroma become RGB on a GPU as on the CPU", "[.gpu]") {
  const bool wide = GENERATE(false, true);
  const auto [height, width] =
      GENERATE(table<int64_t, int64_t>({{1, 1}, {2, 2}, {5, 7}, {270, 481}, {64, 130}}));
  CAPTURE(wide, height, width);
  const Planes here = noise(height, width, wide);
  // Rows that are longer than what counts, as decoders leave them.
  const auto strided = [](const at::Tensor& plane) {
    std::vector<int64_t> sizes = plane.sizes().vec();
    sizes[1] += 12;
    at::Tensor there = at::zeros(sizes, plane.options().device(at::kCUDA));
    return there.narrow(1, 0, plane.size(1)).copy_(plane);
  };
  const at::Tensor made = nv12_to_rgb(strided(here.luma), strided(here.chroma), kBt601);
  const at::Tensor expected = nv12_to_rgb_reference(here.luma, here.chroma, kBt601);
  const at::Tensor apart = (made.cpu().to(at::kInt) - expected.to(at::kInt)).abs();
  CHECK(apart.max().item<int>() <= 1);
  CHECK(apart.to(at::kFloat).mean().item<double>() < 1e-3);  // where rounding decides
}

}  // namespace lv
