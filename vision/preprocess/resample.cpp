#include "vision/preprocess/resample.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>
#include <cstring>
#include <numbers>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"
#include "pipeline/kernels/on_device.h"
#include "vision/kernels/launch.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define LV_HAS_AVX2_CLONE 1
#endif

namespace lv::vision {
namespace {

constexpr int kPrecisionBits = kResampleBits;  // of a weight
constexpr int64_t kMaxSide = 1 << 16;
constexpr int kBlockRows = 8;                // rows that the horizontal pass works on at once
constexpr int kBlockLanes = 4 * kBlockRows;  // each pixel takes four bytes, whatever C is
constexpr int kRowLanes = 64;                // bytes that the vertical pass works on at once

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

struct Kernel {
  double (*weight)(double);
  double support;
};

Kernel kernel_of(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return {[](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }, 0.5};
    case Filter::kBilinear:
      return {[](double x) { return std::abs(x) < 1 ? 1 - std::abs(x) : 0.0; }, 1};
    case Filter::kHamming:
      return {[](double x) {
                x = std::abs(x);
                if (x == 0) return 1.0;
                if (x >= 1) return 0.0;
                x *= std::numbers::pi;
                return std::sin(x) / x * (0.54f + 0.46f * std::cos(x));
              },
              1};
    case Filter::kBicubic:
      return {[](double x) {
                x = std::abs(x);  // the convolution kernel with a = -1/2
                if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
                return x < 2 ? ((2.5 - 0.5 * x) * x - 4) * x + 2 : 0.0;
              },
              2};
    case Filter::kLanczos:
      return {[](double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0.0; }, 3};
  }
  throw Error(ErrorCode::kInvalidArgument, "resample: unknown filter");
}

/// What each output position reads along one axis.
struct AxisTaps {
  std::vector<int32_t> first, count;  // [out]
  std::vector<int32_t> weights;       // [out, stride], fixed point
  int64_t stride = 0;

  const int32_t* of(int64_t i) const { return weights.data() + i * stride; }
};

AxisTaps taps_of(int64_t in_size, double from, double to, int64_t out_size, const Kernel& kernel) {
  const double scale = (to - from) / static_cast<double>(out_size);
  const double filter_scale = std::max(scale, 1.0);
  const double support = kernel.support * filter_scale;
  const double inverse = 1.0 / filter_scale;
  AxisTaps taps;
  taps.stride = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.first.resize(out_size);
  taps.count.resize(out_size);
  taps.weights.assign(out_size * taps.stride, 0);
  std::vector<double> exact(taps.stride);
  for (int64_t i = 0; i < out_size; ++i) {
    const double center = from + (static_cast<double>(i) + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int last = std::min(static_cast<int>(center + support + 0.5), static_cast<int>(in_size));
    double sum = 0;
    for (int j = 0; j < last - first; ++j) {
      exact[j] = kernel.weight((j + first - center + 0.5) * inverse);
      sum += exact[j];
    }
    for (int j = 0; j < last - first; ++j) {
      const double weight = sum != 0 ? exact[j] / sum : exact[j];
      taps.weights[i * taps.stride + j] =
          static_cast<int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kPrecisionBits));
    }
    taps.first[i] = first;
    taps.count[i] = last - first;
  }
  return taps;
}

inline uint8_t clamp_to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

/// out[lane] = rounded sum over taps of weights[tap] * in[tap * step + lane]. Inlined into a plain
/// and an AVX2 caller: the loops have constant bounds so that the compiler vectorises them.
template <int kLanes>
[[gnu::always_inline]] inline void weighted_sum(const uint8_t* in, int64_t step,
                                                const int32_t* weights, int32_t count,
                                                uint8_t* out) {
  int32_t sum[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) sum[lane] = 1 << (kPrecisionBits - 1);
  for (int32_t tap = 0; tap < count; ++tap) {
    const uint8_t* row = in + tap * step;
    const int32_t weight = weights[tap];
    for (int lane = 0; lane < kLanes; ++lane) sum[lane] += weight * row[lane];
  }
  for (int lane = 0; lane < kLanes; ++lane) out[lane] = clamp_to_byte(sum[lane]);
}

struct Job {
  const uint8_t* in;
  int64_t in_stride;  // bytes from row to row
  uint8_t* out;
  int64_t out_stride;
  const AxisTaps& taps;
};

/// Rows [begin, end), at most kBlockRows, of the horizontal pass. `columns` holds the block turned
/// round: for each column the pixels of all rows, four bytes each.
template <int kChannels>
[[gnu::always_inline]] inline void horizontal_block(const Job& job, int64_t begin, int64_t end,
                                                    int64_t in_width, uint8_t* columns) {
  for (int64_t x = 0; x < in_width; ++x) {
    for (int64_t r = 0; r < end - begin; ++r) {
      std::memcpy(columns + x * kBlockLanes + r * 4,
                  job.in + (begin + r) * job.in_stride + x * kChannels, kChannels);
    }
  }
  const int64_t out_width = static_cast<int64_t>(job.taps.first.size());
  uint8_t pixels[kBlockLanes];
  for (int64_t x = 0; x < out_width; ++x) {
    weighted_sum<kBlockLanes>(columns + job.taps.first[x] * kBlockLanes, kBlockLanes,
                              job.taps.of(x), job.taps.count[x], pixels);
    for (int64_t r = 0; r < end - begin; ++r) {
      std::memcpy(job.out + (begin + r) * job.out_stride + x * kChannels, pixels + r * 4,
                  kChannels);
    }
  }
}

[[gnu::always_inline]] inline void horizontal(const Job& job, int64_t begin, int64_t end,
                                              int64_t in_width, int64_t channels) {
  std::vector<uint8_t> columns(in_width * kBlockLanes, 0);
  for (int64_t row = begin; row < end; row += kBlockRows) {
    const int64_t stop = std::min(row + kBlockRows, end);
    switch (channels) {
      case 1:
        horizontal_block<1>(job, row, stop, in_width, columns.data());
        break;
      case 2:
        horizontal_block<2>(job, row, stop, in_width, columns.data());
        break;
      case 3:
        horizontal_block<3>(job, row, stop, in_width, columns.data());
        break;
      default:
        horizontal_block<4>(job, row, stop, in_width, columns.data());
    }
  }
}

/// Output rows [begin, end) of the vertical pass over rows of `bytes` bytes.
[[gnu::always_inline]] inline void vertical(const Job& job, int64_t begin, int64_t end,
                                            int64_t bytes) {
  for (int64_t y = begin; y < end; ++y) {
    const uint8_t* in = job.in + job.taps.first[y] * job.in_stride;
    uint8_t* out = job.out + y * job.out_stride;
    int64_t at = 0;
    for (; at + kRowLanes <= bytes; at += kRowLanes) {
      weighted_sum<kRowLanes>(in + at, job.in_stride, job.taps.of(y), job.taps.count[y], out + at);
    }
    for (; at < bytes; ++at) {
      weighted_sum<1>(in + at, job.in_stride, job.taps.of(y), job.taps.count[y], out + at);
    }
  }
}

void horizontal_plain(const Job& job, int64_t begin, int64_t end, int64_t width, int64_t channels) {
  horizontal(job, begin, end, width, channels);
}
void vertical_plain(const Job& job, int64_t begin, int64_t end, int64_t bytes) {
  vertical(job, begin, end, bytes);
}
#ifdef LV_HAS_AVX2_CLONE
[[gnu::target("avx2")]] void horizontal_avx2(const Job& job, int64_t begin, int64_t end,
                                             int64_t width, int64_t channels) {
  horizontal(job, begin, end, width, channels);
}
[[gnu::target("avx2")]] void vertical_avx2(const Job& job, int64_t begin, int64_t end,
                                           int64_t bytes) {
  vertical(job, begin, end, bytes);
}
const bool kAvx2 = __builtin_cpu_supports("avx2") != 0;
const auto run_horizontal = kAvx2 ? horizontal_avx2 : horizontal_plain;
const auto run_vertical = kAvx2 ? vertical_avx2 : vertical_plain;
#else
const auto run_horizontal = horizontal_plain;
const auto run_vertical = vertical_plain;
#endif

void check_request(const at::Tensor& picture, const PixelBox& box, int64_t height, int64_t width) {
  check_shape(picture, "picture", {-1, -1, -1});
  check_dtype(picture, "picture", at::kByte);
  const int64_t channels = picture.size(2);
  check(channels >= 1 && channels <= 4, ErrorCode::kInvalidArgument,
        "picture: expected 1 to 4 channels, got " + std::to_string(channels));
  const std::array<int64_t, 4> sides = {picture.size(0), picture.size(1), height, width};
  for (const int64_t side : sides) {
    check(side >= 1 && side <= kMaxSide, ErrorCode::kInvalidArgument,
          "resample: expected sides of 1 to 65536 pixels, got " + shape_text(sides));
  }
  const bool inside = box.x0 >= 0 && box.y0 >= 0 && box.x1 > box.x0 && box.y1 > box.y0 &&
                      box.x1 <= static_cast<double>(picture.size(1)) &&
                      box.y1 <= static_cast<double>(picture.size(0));
  check(inside, ErrorCode::kInvalidArgument, "resample: expected a box inside the picture");
}

/// The picture, or a copy where the pixels of a row do not lie side by side.
at::Tensor with_dense_pixels(const at::Tensor& picture) {
  const bool dense = picture.stride(2) == 1 && picture.stride(1) == picture.size(2);
  return dense ? picture : picture.contiguous();
}

/// Along dimension `axis` of a picture [H, W, C] on a GPU, `size` pixels.
at::Tensor resized_on_gpu(const at::Tensor& x, int64_t axis, const AxisTaps& taps, int64_t size) {
  std::vector<int32_t> numbers(taps.first);
  numbers.insert(numbers.end(), taps.count.begin(), taps.count.end());
  numbers.insert(numbers.end(), taps.weights.begin(), taps.weights.end());
  const at::Tensor there = sent(numbers, x.device());
  const auto* first = there.const_data_ptr<int32_t>();
  const bool across = axis == 1;
  at::Tensor out =
      at::empty({across ? x.size(0) : size, across ? size : x.size(1), x.size(2)}, x.options());
  launch_resample_axis(
      {x.const_data_ptr<uint8_t>(), across ? x.stride(0) : 0, x.stride(axis),
       across ? x.size(0) : 1, across ? x.size(2) : x.size(1) * x.size(2), size, first,
       first + size, first + 2 * size, taps.stride, out.mutable_data_ptr<uint8_t>()},
      current_stream(x));
  return out;
}

at::Tensor resized_columns(const at::Tensor& x, const AxisTaps& taps, int64_t width) {
  if (x.is_cuda()) return resized_on_gpu(x, 1, taps, width);
  const int64_t rows = x.size(0), channels = x.size(2);
  at::Tensor out = at::empty({rows, width, channels}, at::kByte);
  const Job job{x.const_data_ptr<uint8_t>(), x.stride(0), out.data_ptr<uint8_t>(), width * channels,
                taps};
  at::parallel_for(0, rows, 8 * kBlockRows, [&](int64_t begin, int64_t end) {
    run_horizontal(job, begin, end, x.size(1), channels);
  });
  return out;
}

at::Tensor resized_rows(const at::Tensor& x, const AxisTaps& taps, int64_t height) {
  if (x.is_cuda()) return resized_on_gpu(x, 0, taps, height);
  const int64_t row_bytes = x.size(1) * x.size(2);
  at::Tensor out = at::empty({height, x.size(1), x.size(2)}, at::kByte);
  const Job job{x.const_data_ptr<uint8_t>(), x.stride(0), out.data_ptr<uint8_t>(), row_bytes, taps};
  at::parallel_for(0, height, 16,
                   [&](int64_t begin, int64_t end) { run_vertical(job, begin, end, row_bytes); });
  return out;
}

}  // namespace

Filter filter_from_pillow(int64_t number) {
  switch (number) {
    case 0:
      throw Error(ErrorCode::kUnimplemented, "resample: nearest neighbour is not supported");
    case 1:
      return Filter::kLanczos;
    case 2:
      return Filter::kBilinear;
    case 3:
      return Filter::kBicubic;
    case 4:
      return Filter::kBox;
    case 5:
      return Filter::kHamming;
    default:
      throw Error(ErrorCode::kInvalidArgument,
                  "resample: expected 1 to 5, got " + std::to_string(number));
  }
}

at::Tensor resample(const at::Tensor& picture, int64_t height, int64_t width, Filter filter) {
  check_shape(picture, "picture", {-1, -1, -1});
  return resample(
      picture, {0, 0, static_cast<double>(picture.size(1)), static_cast<double>(picture.size(0))},
      height, width, filter);
}

at::Tensor resample(const at::Tensor& picture, const PixelBox& box, int64_t height, int64_t width,
                    Filter filter) {
  check_request(picture, box, height, width);
  const Kernel kernel = kernel_of(filter);
  const int64_t in_height = picture.size(0), in_width = picture.size(1);
  const bool narrows = width != in_width || box.x0 != 0 || box.x1 != static_cast<double>(in_width);
  const bool lowers =
      height != in_height || box.y0 != 0 || box.y1 != static_cast<double>(in_height);
  const AxisTaps across = taps_of(in_width, box.x0, box.x1, width, kernel);
  AxisTaps down = taps_of(in_height, box.y0, box.y1, height, kernel);
  at::Tensor x = with_dense_pixels(picture);
  if (!narrows && !lowers) return x.clone(at::MemoryFormat::Contiguous);
  // Pillow's choice: the height first where it shrinks by more than twice what the width does.
  if (height < in_height && 2 * (in_width - width) < in_height - height) {
    if (lowers) x = resized_rows(x, down, height);
    return narrows ? resized_columns(x, across, width) : x;
  }
  if (narrows && lowers) {
    // Only the rows that will be read.
    const int32_t first = down.first.front();
    x = x.slice(0, first, down.first.back() + down.count.back());
    for (int32_t& from : down.first) from -= first;
  }
  if (narrows) x = resized_columns(x, across, width);
  return lowers ? resized_rows(x, down, height) : x;
}

}  // namespace lv::vision
