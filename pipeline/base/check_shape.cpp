#include "pipeline/base/check_shape.h"

#include <ATen/ATen.h>

#include "pipeline/base/error.h"
#include "pipeline/base/joined_text.h"

namespace lv {

std::string shape_text(at::IntArrayRef shape) {
  const auto size_text = [](int64_t size) { return size < 0 ? "*" : std::to_string(size); };
  return "[" + joined_text(shape, ", ", size_text) + "]";
}

void check_shape(const at::Tensor& x, std::string_view name, std::initializer_list<int64_t> shape) {
  const at::IntArrayRef expected(shape.begin(), shape.size());
  bool good = x.defined() && x.dim() == static_cast<int64_t>(expected.size());
  for (size_t i = 0; good && i < expected.size(); ++i) {
    good = expected[i] < 0 || expected[i] == x.size(static_cast<int64_t>(i));
  }
  if (good) return;
  throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": expected " +
                                               shape_text(expected) + ", got " +
                                               (x.defined() ? shape_text(x.sizes()) : "no tensor"));
}

void check_dtype(const at::Tensor& x, std::string_view name, at::ScalarType dtype) {
  if (x.defined() && x.scalar_type() == dtype) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(name) + ": expected " + at::toString(dtype) + ", got " +
                  (x.defined() ? at::toString(x.scalar_type()) : "no tensor"));
}

}  // namespace lv
