#pragma once

#include <cstdint>

// What the CUDA kernels are called by: raw pointers on one device, and its stream. Builds without
// CUDA have no_cuda.cpp instead, in which each throws kUnimplemented.

namespace lv {

/// Whether this build has the kernels.
bool has_cuda_kernels();

enum class Element { kFloat32, kFloat16, kBFloat16 };

struct AddLayerNorm {
  const void* x;       // [rows, width]
  const void* delta;   // [rows, width], or null for nothing
  const void* weight;  // [width]
  const void* bias;    // [width]
  void* sum;           // [rows, width], if there is a delta
  void* norm;          // [rows, width]
  Element element;
  int64_t rows, width;
  float eps;
};
/// Width: a multiple of 8, at most 8192. Pointers are aligned to 16 bytes.
void launch_add_layer_norm(const AddLayerNorm& args, void* stream);

struct AddRmsNorm {
  const void* x;       // [rows, width]
  const void* delta;   // [rows, width], or null for nothing
  const void* weight;  // [width]
  void* sum;           // [rows, width], if there is a delta
  void* norm;          // [rows, width]
  Element element;
  int64_t rows, width;
  float eps;
};
/// Width and pointers as above.
void launch_add_rms_norm(const AddRmsNorm& args, void* stream);

struct Rotate {
  void* x;           // [rows, heads, width], rows `stride` elements apart, in place
  const float* cos;  // [rows, half]
  const float* sin;  // [rows, half]
  Element element;
  int64_t rows, heads, width, half, stride;
};
void launch_rotate(const Rotate& args, void* stream);

struct GatedSilu {
  const void* gate;  // [rows, width], rows `stride` elements apart
  const void* up;    // the same
  void* out;         // [rows, width]; may be gate where its rows are dense
  Element element;
  int64_t rows, width, stride;
};
/// silu(gate) * up; pointers aligned to 16 bytes, width and stride multiples of 8.
void launch_gated_silu(const GatedSilu& args, void* stream);

struct FewRowsLinear {
  const void* x;       // [rows, in]
  const void* weight;  // [out, in]
  void* y;             // [rows, out]
  Element element;     // of 16 bits
  int64_t rows, in, out;
};
constexpr int64_t kMostFewRows = 4;
/// Rows: 1 to kMostFewRows; in: a multiple of 8; pointers aligned to 16 bytes.
void launch_few_rows_linear(const FewRowsLinear& args, void* stream);

struct Nv12ToRgb {
  const void* luma;  // [height, width], rows luma_stride elements apart
  int64_t luma_stride;
  const void* chroma;  // [(height + 1) / 2, (width + 1) / 2, 2], rows chroma_stride elements apart
  int64_t chroma_stride;
  bool wide;  // elements of 16 bits, else of 8
  int64_t height, width;
  float y_offset, y_scale, r_v, g_u, g_v, b_u;  // YuvToRgb
  uint8_t* rgb;                                 // [height, width, 3]
};
void launch_nv12_to_rgb(const Nv12ToRgb& args, void* stream);
// Weights of chroma by swscale's bicubic filter, 1 3/4, 3/4, -1/4 and -1 1/4 places before a pixel;
// and for the third pixel of a row or column, where swscale forgets the first of them.
constexpr float kChromaTaps[4] = {-.028125F, .240625F, .871875F, -.084375F};
constexpr float kThirdChromaTaps[4] = {0, .240625F / 1.028125F, .871875F / 1.028125F,
                                       -.084375F / 1.028125F};
// What sums along rows, which come first, are at most.
constexpr float kMostChroma = 32767.F / 128;

/// x sigmoid(1.702 x) in place; pointer aligned to 16 bytes, count a multiple of 8.
void launch_quick_gelu(void* x, Element element, int64_t count, void* stream);

}  // namespace lv
