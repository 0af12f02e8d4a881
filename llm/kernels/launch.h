#pragma once

#include <cstdint>

#include "pipeline/kernels/launch.h"

// What the CUDA kernels of the language model are called by, see pipeline/kernels/launch.h.

namespace lv::llm {

/// Attention of one query a sequence to its keys and values in pages.
struct PagedDecode {
  const void* q;         // [sequences, heads, width], sequences `q_stride` elements apart
  const void* keys;      // [pages, slots, kv_heads, width]
  const void* values;    // [pages, slots, kv_heads, width]
  const int32_t* plans;  // [sequences, 4 + most_pages]: begin and end of what is seen first and of
                         // what is seen last, then the pages
  float* sums;           // [sequences, heads, splits, width], written if there are several
  float* part_lse;       // [sequences, heads, splits], as sums
  void* out;             // [sequences, heads, width], written
  float* lse;            // [sequences, heads], written
  Element element;
  int64_t sequences, heads, kv_heads, width, slots, most_pages;
  int64_t splits;  // of what a sequence sees, a block each
  int64_t q_stride;
  float scale;
};
/// Whether the kernels know heads of this size: 64 and 128.
constexpr bool decodes_width(int64_t width) { return width == 64 || width == 128; }
void launch_paged_decode(const PagedDecode& args, void* stream);

/// Rotates the newest query and key of each sequence and stores key and value in its page.
struct RotateAppend {
  void* q;               // [sequences, heads, width], in place
  const void* k;         // [sequences, kv_heads, width]
  const void* v;         // [sequences, kv_heads, width]
  const float* cos;      // [sequences, half]
  const float* sin;      // [sequences, half]
  void* keys;            // [pages, slots, kv_heads, width]
  void* values;          // [pages, slots, kv_heads, width]
  const int32_t* plans;  // as PagedDecode's; a sequence that sees nothing stores nothing
  Element element;
  int64_t sequences, heads, kv_heads, width, half, slots, most_pages;
  int64_t q_stride, k_stride, v_stride;  // elements between sequences
};
/// Width: even.
void launch_rotate_append(const RotateAppend& args, void* stream);

}  // namespace lv::llm
