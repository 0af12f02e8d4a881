#include "vision/encoders/encoder_replay.h"

#include <ATen/ATen.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>

#include "pipeline/kernels/launch.h"
#include "tests/support/close_to.h"
#include "tests/support/is_error.h"

namespace lv::vision {
namespace {

/// Rows of pixels, doubled; counts how often it was asked.
class Doubling : public ImageEncoder {
 public:
  explicit Doubling(at::Device device) : device_(device) {}

  PictureFeatures encode(const at::Tensor& pixels) const override {
    ++calls;
    const auto rows = static_cast<int32_t>(pixels.size(2));
    return {pixels.to(device_).mul(2).transpose(1, 2).flatten(2), {rows, 1}};
  }
  int64_t width() const override { return 6; }
  const Linear* class_head() const override { return nullptr; }

  mutable std::atomic<int> calls = 0;

 private:
  at::Device device_;
};

/// Six times the same shape, each with other pixels.
int calls_for_six(at::Device device, int64_t pictures) {
  const auto encoder = std::make_shared<Doubling>(device);
  const EncoderReplay replay(encoder);
  for (int i = 0; i < 6; ++i) {
    const at::Tensor pixels = at::randn({pictures, 3, 4, 2});
    const PictureFeatures features = replay.encode(pixels);
    CHECK(features.grid.rows == 4);
    CHECK_THAT(features.features.cpu(),
               CloseTo(pixels.mul(2).transpose(1, 2).flatten(2).contiguous(), 0, 0));
  }
  return encoder->calls;
}

}  // namespace

TEST_CASE("an encoder on the CPU runs every time") { CHECK(calls_for_six(at::kCPU, 1) == 6); }

TEST_CASE("an encoder on a GPU is recorded the second time", "[.gpu]") {
  if (!has_cuda_kernels()) return;
  CHECK(calls_for_six(at::kCUDA, 1) == 3);  // once by itself, twice to record
  CHECK(calls_for_six(at::kCUDA, 64) == 6);
}

TEST_CASE("an encoder that needs its grid cannot merge") {
  const EncoderReplay replay(std::make_shared<Doubling>(at::kCPU));
  LayerMerging merging;
  merging.keep = 0.5;
  CHECK_THROWS_MATCHES(replay.encode(at::zeros({1, 3, 4, 2}), merging), Error,
                       IsError(ErrorCode::kUnimplemented, "stay in their grid"));
}

}  // namespace lv::vision
