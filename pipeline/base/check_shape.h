#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <string>
#include <string_view>

namespace lv {

/// Throws kInvalidArgument unless `x` is defined and has this shape; -1 accepts any size.
/// The text reads `frames: expected [*, *, *, 3], got [8, 336, 336]`.
void check_shape(const at::Tensor& x, std::string_view name, std::initializer_list<int64_t> shape);

/// Throws kInvalidArgument unless `x` is defined and has this element type.
void check_dtype(const at::Tensor& x, std::string_view name, at::ScalarType dtype);

/// "[8, 336, 336]", with * for -1.
std::string shape_text(at::IntArrayRef shape);

}  // namespace lv
