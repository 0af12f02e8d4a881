#include "pipeline/media/color_converter.h"

#include <ATen/ATen.h>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include "pipeline/base/error.h"
#include "pipeline/media/gpu_pictures.h"

namespace lv {
namespace {

/// The formats named "J" are their plain namesakes in full range.
AVPixelFormat plain_format(AVPixelFormat format, bool& full_range) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      full_range = true;
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ411P:
      full_range = true;
      return AV_PIX_FMT_YUV411P;
    case AV_PIX_FMT_YUVJ422P:
      full_range = true;
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ440P:
      full_range = true;
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ444P:
      full_range = true;
      return AV_PIX_FMT_YUV444P;
    default:
      return format;
  }
}

int matrix_of(const AVFrame& picture) {
  switch (picture.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return picture.height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

bool has_alpha(const AVFrame& picture) {
  const AVPixFmtDescriptor* format =
      av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
  return format != nullptr && (format->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
}

}  // namespace

YuvToRgb yuv_to_rgb(const AVFrame& picture) {
  const bool full_range = picture.color_range == AVCOL_RANGE_JPEG;
  // For limited range, in 2^-16.
  const int* table = sws_getCoefficients(matrix_of(picture));
  const float chroma = (full_range ? 224.F / 255 : 1.F) / 65536;
  return {full_range ? 0.F : 16.F,
          full_range ? 1.F : 255.F / 219,
          chroma * static_cast<float>(table[0]),
          -chroma * static_cast<float>(table[2]),
          -chroma * static_cast<float>(table[3]),
          chroma * static_cast<float>(table[1])};
}

void ColorConverter::to_rgb(const AVFrame& picture, at::Tensor& rgb) {
  convert(picture, rgb, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT);
}

void ColorConverter::to_small_rgb(const AVFrame& picture, at::Tensor& rgb) {
  convert(picture, rgb, SWS_AREA);
}

at::Tensor ColorConverter::empty_rgb(at::IntArrayRef sizes) {
  const int64_t count = c10::multiply_integers(sizes);
  return at::empty({count + kSlackBytes}, at::kByte).narrow(0, 0, count).view(sizes);
}

void ColorConverter::convert(const AVFrame& picture, at::Tensor& rgb, int flags) {
  if (!is_on_gpu(picture)) return convert_here(picture, rgb, flags);
  if (rgb.is_cuda()) {
    if (const at::Tensor made = rgb_on_gpu(picture, yuv_to_rgb(picture)); made.defined()) {
      rgb.copy_(made);
      return;
    }
  }
  at::Tensor here = empty_rgb(rgb.sizes());
  convert_here(*picture_on_cpu(picture), here, flags);
  rgb.copy_(here);
}

void ColorConverter::convert_here(const AVFrame& picture, at::Tensor& rgb, int flags) {
  const int height = static_cast<int>(rgb.size(0)), width = static_cast<int>(rgb.size(1));
  if (!has_alpha(picture)) {
    scale(picture, AV_PIX_FMT_RGB24, rgb.data_ptr<uint8_t>(), width, height, flags);
    return;
  }
  const int64_t count = static_cast<int64_t>(width) * height;
  at::Tensor rgba = at::empty({count * 4 + kSlackBytes}, at::kByte);
  scale(picture, AV_PIX_FMT_RGBA, rgba.data_ptr<uint8_t>(), width, height, flags);
  const uint8_t* from = rgba.const_data_ptr<uint8_t>();
  uint8_t* into = rgb.data_ptr<uint8_t>();
  for (int64_t i = 0; i < count; ++i, from += 4) {
    const int alpha = from[3];
    for (int c = 0; c < 3; ++c) {
      *into++ = static_cast<uint8_t>((from[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
  }
}

void ColorConverter::scale(const AVFrame& picture, AVPixelFormat to, uint8_t* into, int width,
                           int height, int flags) {
  bool full_range = picture.color_range == AVCOL_RANGE_JPEG;
  const AVPixelFormat from = plain_format(static_cast<AVPixelFormat>(picture.format), full_range);
  scaler_.reset(sws_getCachedContext(scaler_.release(), picture.width, picture.height, from, width,
                                     height, to, flags, nullptr, nullptr, nullptr));
  check(scaler_ != nullptr, ErrorCode::kUnimplemented,
        std::string("pixel format ") +
            (av_get_pix_fmt_name(from) != nullptr ? av_get_pix_fmt_name(from) : "unknown") +
            ": cannot be turned into RGB");
  const int* matrix = sws_getCoefficients(matrix_of(picture));
  const int* rgb_matrix = sws_getCoefficients(SWS_CS_DEFAULT);
  constexpr int kOne = 1 << 16;
  // Fails where the source is RGB already and needs no matrix.
  static_cast<void>(sws_setColorspaceDetails(scaler_.get(), matrix, full_range ? 1 : 0, rgb_matrix,
                                             1, 0, kOne, kOne));
  uint8_t* planes[4] = {into, nullptr, nullptr, nullptr};
  const int strides[4] = {width * (to == AV_PIX_FMT_RGBA ? 4 : 3), 0, 0, 0};
  const int rows =
      sws_scale(scaler_.get(), picture.data, picture.linesize, 0, picture.height, planes, strides);
  check(rows == height, ErrorCode::kDataLoss, "picture: cannot be turned into RGB");
}

}  // namespace lv
