#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lv::llm {

/// Pages of keys and values, all of one size, each counted by who reads it. Not thread-safe.
class PagePool {
 public:
  /// A page has `page_elements` for keys and as many for values. Without a limit the pool grows as
  /// it is used, which moves what tensors it gave; with one, its memory is reserved at once.
  PagePool(int64_t page_elements, int64_t limit_pages, at::TensorOptions options);

  /// A page that nobody reads, owned once. Throws kResourceExhausted when all are taken.
  int32_t take();
  /// One owner more, one less. A page without owners is free again.
  void share(int32_t page);
  void release(int32_t page);
  bool shared(int32_t page) const { return owners_[static_cast<size_t>(page)] > 1; }

  /// How many may still be taken; very many without a limit.
  int64_t free_pages() const;
  int64_t used_pages() const { return used_; }
  int64_t page_bytes() const;  // keys and values together

  const at::Tensor& keys() const { return keys_; }      // [pages, page_elements]
  const at::Tensor& values() const { return values_; }  // [pages, page_elements]

 private:
  void resize(int64_t pages);

  int64_t page_elements_;
  int64_t limit_pages_;
  at::TensorOptions options_;
  at::Tensor keys_, values_;
  std::vector<int32_t> owners_;  // by page
  std::vector<int32_t> free_;    // the last is taken next
  int64_t used_ = 0;
};

}  // namespace lv::llm
