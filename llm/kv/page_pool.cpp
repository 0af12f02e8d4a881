#include "llm/kv/page_pool.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <string>

#include "pipeline/base/error.h"

namespace lv::llm {
namespace {

constexpr int64_t kFirstPages = 64;
constexpr int64_t kMostPages = std::numeric_limits<int32_t>::max();

}  // namespace

PagePool::PagePool(int64_t page_elements, int64_t limit_pages, at::TensorOptions options)
    : page_elements_(page_elements), limit_pages_(limit_pages), options_(options) {
  check(page_elements >= 0 && limit_pages >= 0 && limit_pages <= kMostPages, ErrorCode::kInternal,
        "page pool: cannot have " + std::to_string(limit_pages) + " pages of " +
            std::to_string(page_elements));
  resize(limit_pages);
}

void PagePool::resize(int64_t pages) {
  const auto before = static_cast<int64_t>(owners_.size());
  const auto grown = [&](const at::Tensor& old) {
    at::Tensor memory = at::empty({pages, page_elements_}, options_);
    if (before > 0) memory.slice(0, 0, before).copy_(old);
    return memory;
  };
  keys_ = grown(keys_);
  values_ = grown(values_);
  owners_.resize(static_cast<size_t>(pages), 0);
  for (int64_t page = pages; page-- > before;) free_.push_back(static_cast<int32_t>(page));
}

int32_t PagePool::take() {
  if (free_.empty() && limit_pages_ == 0) {
    const auto now = static_cast<int64_t>(owners_.size());
    resize(std::min(kMostPages, std::max(kFirstPages, 2 * now)));
  }
  check(!free_.empty(), ErrorCode::kResourceExhausted,
        "kv store: all " + std::to_string(owners_.size()) + " pages are taken");
  const int32_t page = free_.back();
  free_.pop_back();
  owners_[static_cast<size_t>(page)] = 1;
  ++used_;
  return page;
}

void PagePool::share(int32_t page) { ++owners_[static_cast<size_t>(page)]; }

void PagePool::release(int32_t page) {
  int32_t& owners = owners_[static_cast<size_t>(page)];
  check(owners > 0, ErrorCode::kInternal, "kv store: page " + std::to_string(page) + " is free");
  if (--owners > 0) return;
  free_.push_back(page);
  --used_;
}

int64_t PagePool::free_pages() const {
  return limit_pages_ == 0 ? kMostPages - used_ : static_cast<int64_t>(free_.size());
}

int64_t PagePool::page_bytes() const {
  return 2 * page_elements_ * static_cast<int64_t>(options_.dtype().itemsize());
}

}  // namespace lv::llm
