#include "pipeline/media/color_converter.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <random>

#include "pipeline/kernels/nv12_to_rgb.h"

namespace lv {
namespace {

/// A picture of soft shapes, or of noise that leads to no overflow in swscale, in planes of its
/// own, as a decoder of the CPU leaves it.
UniqueAVFrame made_picture(bool noise, int height, int width, AVColorSpace matrix,
                           AVColorRange range) {
  UniqueAVFrame picture = make_av_frame();
  picture->format = AV_PIX_FMT_YUV420P;
  picture->height = height;
  picture->width = width;
  picture->colorspace = matrix;
  picture->color_range = range;
  av_check(av_frame_get_buffer(picture.get(), 0), "picture: allocate");
  std::minstd_rand random(1);
  for (int plane = 0; plane < 3; ++plane) {
    const int rows = plane == 0 ? height : (height + 1) / 2,
              columns = plane == 0 ? width : (width + 1) / 2;
    for (int y = 0; y < rows; ++y) {
      for (int x = 0; x < columns; ++x) {
        const double wave = std::sin(.11 * (plane + 1) * x + .3 * plane) * std::cos(.13 * y);
        picture->data[plane][y * picture->linesize[plane] + x] = static_cast<uint8_t>(
            noise ? 48 + random() % 160
                  : static_cast<uint64_t>(128 + (plane == 0 ? 90 : 50) * wave));
      }
    }
  }
  return picture;
}

at::Tensor plane_of(const AVFrame& picture, int plane, int64_t rows, int64_t columns) {
  return at::from_blob(picture.data[plane], {rows, columns}, {picture.linesize[plane], 1},
                       at::kByte);
}

}  // namespace

TEST_CASE("what GPUs do with luma and chroma is what swscale does") {
  const auto [height, width] = GENERATE(table<int, int>({{48, 64}, {38, 50}, {720, 96}}));
  const AVColorSpace matrix =
      GENERATE(AVCOL_SPC_UNSPECIFIED, AVCOL_SPC_BT709, AVCOL_SPC_SMPTE170M, AVCOL_SPC_BT2020_NCL);
  const AVColorRange range = GENERATE(AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG);

  const bool noise = GENERATE(false, true);
  CAPTURE(height, width, matrix, range, noise);
  const UniqueAVFrame picture = made_picture(noise, height, width, matrix, range);
  at::Tensor expected = ColorConverter::empty_rgb({height, width, 3});
  ColorConverter().to_rgb(*picture, expected);
  const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
  const at::Tensor chroma =
      at::stack({plane_of(*picture, 1, rows, columns), plane_of(*picture, 2, rows, columns)}, 2);
  const at::Tensor made =
      nv12_to_rgb(plane_of(*picture, 0, height, width), chroma, yuv_to_rgb(*picture));
  const at::Tensor apart = (made.to(at::kInt) - expected.to(at::kInt)).abs().to(at::kFloat);
  CAPTURE(apart.mean().item<double>());
  CHECK(apart.max().item<double>() <= 1);
  CHECK(apart.mean().item<double>() < .05);
}

}  // namespace lv
