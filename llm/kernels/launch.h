#pragma once

#include <cstdint>

#include "pipeline/kernels/launch.h"

// What the CUDA kernels of the language model are called by, see pipeline/kernels/launch.h.

namespace lv::llm {

/// Attention of one query a sequence to its keys and values in pages.
struct PagedDecode {
  const void* q;         // [sequences, heads, width]
  const void* keys;      // [pages, slots, kv_heads, width]
  const void* values;    // [pages, slots, kv_heads, width]
  const int32_t* plans;  // [sequences, 4 + most_pages]: begin and end of what is seen first and of
                         // what is seen last, then the pages
  float* sums;           // [sequences, heads, splits, width], written
  float* part_lse;       // [sequences, heads, splits], written
  void* out;             // [sequences, heads, width], written
  float* lse;            // [sequences, heads], written
  Element element;
  int64_t sequences, heads, kv_heads, width, slots, most_pages;
  int64_t splits, split_tokens;  // a block a split of so many tokens that are seen
  float scale;
};
/// Whether the kernels know heads of this size: 64 and 128.
constexpr bool decodes_width(int64_t width) { return width == 64 || width == 128; }
void launch_paged_decode(const PagedDecode& args, void* stream);

}  // namespace lv::llm
