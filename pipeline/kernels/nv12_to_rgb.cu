#include "pipeline/kernels/element.cuh"

namespace lv {
namespace {

constexpr int kThreadsAcross = 32, kThreadsDown = 8;

__device__ uint8_t level(float x) {
  return static_cast<uint8_t>(fminf(fmaxf(floorf(x + 0.5f), 0.f), 255.f));
}

/// Four places of one row or column around two pixels that share a place of chroma: the first lies
/// a quarter before it, the second a quarter after.
__device__ float2 both(const float (&x)[5], bool third) {
  constexpr float a = kChromaTaps[0], b = kChromaTaps[1], c = kChromaTaps[2], d = kChromaTaps[3];
  constexpr float third_b = kThirdChromaTaps[1], third_c = kThirdChromaTaps[2],
                  third_d = kThirdChromaTaps[3];
  return {third ? third_b * x[1] + third_c * x[2] + third_d * x[3]
                : a * x[0] + b * x[1] + c * x[2] + d * x[3],
          d * x[1] + c * x[2] + b * x[3] + a * x[4]};
}

/// A thread two by two pixels.
template <typename T>
__global__ void nv12_to_rgb_kernel(Nv12ToRgb args) {
  const int column = blockIdx.x * kThreadsAcross + threadIdx.x;
  const int row = blockIdx.y * kThreadsDown + threadIdx.y;
  const int columns = (args.width + 1) / 2, rows = (args.height + 1) / 2;
  if (column >= columns || row >= rows) return;
  constexpr float kUnit = sizeof(T) == 1 ? 1.f : 1.f / 256;
  float u[2][5], v[2][5];  // of the two pixels of each row
  for (int i = 0; i < 5; ++i) {
    const T* line = static_cast<const T*>(args.chroma) +
                    min(max(row + i - 2, 0), rows - 1) * args.chroma_stride;
    float us[5], vs[5];
    for (int j = 0; j < 5; ++j) {
      const int at = min(max(column + j - 2, 0), columns - 1);
      us[j] = kUnit * line[2 * at];
      vs[j] = kUnit * line[2 * at + 1];
    }
    const float2 two_u = both(us, column == 1), two_v = both(vs, column == 1);
    u[0][i] = fminf(two_u.x, kMostChroma);
    u[1][i] = fminf(two_u.y, kMostChroma);
    v[0][i] = fminf(two_v.x, kMostChroma);
    v[1][i] = fminf(two_v.y, kMostChroma);
  }
  for (int dx = 0; dx < 2; ++dx) {
    const int x = 2 * column + dx;
    if (x >= args.width) break;
    const float2 two_u = both(u[dx], row == 1), two_v = both(v[dx], row == 1);
    for (int dy = 0; dy < 2; ++dy) {
      const int y = 2 * row + dy;
      if (y >= args.height) break;
      const float shown_u = (dy == 0 ? two_u.x : two_u.y) - 128;
      const float shown_v = (dy == 0 ? two_v.x : two_v.y) - 128;
      const float luma =
          (kUnit * static_cast<const T*>(args.luma)[y * args.luma_stride + x] - args.y_offset) *
          args.y_scale;
      uint8_t* rgb = args.rgb + (int64_t{y} * args.width + x) * 3;
      rgb[0] = level(luma + args.r_v * shown_v);
      rgb[1] = level(luma + args.g_u * shown_u + args.g_v * shown_v);
      rgb[2] = level(luma + args.b_u * shown_u);
    }
  }
}

}  // namespace

void launch_nv12_to_rgb(const Nv12ToRgb& args, void* stream) {
  const auto blocks = [](int64_t pixels, int threads) {
    return static_cast<unsigned>(((pixels + 1) / 2 + threads - 1) / threads);
  };
  const dim3 grid(blocks(args.width, kThreadsAcross), blocks(args.height, kThreadsDown));
  const dim3 block(kThreadsAcross, kThreadsDown);
  const auto kernel = args.wide ? nv12_to_rgb_kernel<uint16_t> : nv12_to_rgb_kernel<uint8_t>;
  kernel<<<grid, block, 0, static_cast<cudaStream_t>(stream)>>>(args);
  device::check_launch("nv12_to_rgb");
}

}  // namespace lv
