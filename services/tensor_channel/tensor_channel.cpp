#include "services/tensor_channel/tensor_channel.h"

#include <ATen/ATen.h>

#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "longview/v1/tensor.pb.h"
#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensor bytes travel little-endian");

namespace lv::services {
namespace {

constexpr int kMaxDimensions = 8;

/// The element types that travel. Not bool: a byte other than 0 and 1 would be undefined behaviour.
constexpr std::array<std::pair<v1::DType, at::ScalarType>, 8> kTypes{{
    {v1::DTYPE_FLOAT32, at::kFloat},
    {v1::DTYPE_FLOAT64, at::kDouble},
    {v1::DTYPE_FLOAT16, at::kHalf},
    {v1::DTYPE_BFLOAT16, at::kBFloat16},
    {v1::DTYPE_INT32, at::kInt},
    {v1::DTYPE_INT64, at::kLong},
    {v1::DTYPE_UINT8, at::kByte},
    {v1::DTYPE_INT8, at::kChar},
}};

at::ScalarType type_of(const v1::Tensor& message, std::string_view name) {
  check(message.dtype() != v1::DTYPE_UNSPECIFIED, ErrorCode::kInvalidArgument,
        std::string(name) + ": expected a tensor, got none or one without an element type");
  for (const auto& [wire, type] : kTypes) {
    if (wire == message.dtype()) return type;
  }
  throw Error(ErrorCode::kInvalidArgument, std::string(name) + ": element type " +
                                               std::to_string(message.dtype()) +
                                               " is not one that travels");
}

/// The shape, if it has at most kMaxDimensions sizes and its bytes can be counted. A size of 0 is
/// counted as 1 so that the strides cannot overflow either.
at::DimVector shape_of(const v1::Tensor& message, int64_t item_bytes, std::string_view name) {
  check(message.shape_size() <= kMaxDimensions, ErrorCode::kInvalidArgument,
        std::string(name) + ": expected at most " + std::to_string(kMaxDimensions) +
            " dimensions, got " + std::to_string(message.shape_size()));
  at::DimVector shape(message.shape().begin(), message.shape().end());
  int64_t bytes = item_bytes;
  for (const int64_t size : shape) {
    const bool overflows = __builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes);
    check(size >= 0 && !overflows, ErrorCode::kInvalidArgument,
          std::string(name) + ": shape " + shape_text(shape) + " is not possible");
  }
  return shape;
}

}  // namespace

void put_tensor(const at::Tensor& x, v1::Tensor* message) {
  check(x.defined(), ErrorCode::kInvalidArgument, "tensor: expected one, got no tensor");
  message->Clear();
  for (const auto& [wire, type] : kTypes) {
    if (type == x.scalar_type()) message->set_dtype(wire);
  }
  check(
      message->dtype() != v1::DTYPE_UNSPECIFIED && x.layout() == at::kStrided,
      ErrorCode::kInvalidArgument,
      std::string("tensor: elements of type ") + at::toString(x.scalar_type()) + " do not travel");
  for (const int64_t size : x.sizes()) message->add_shape(size);
  const at::Tensor dense = x.to(at::kCPU).contiguous();
  message->set_data(dense.const_data_ptr(), dense.nbytes());
}

at::Tensor take_tensor(const std::shared_ptr<const v1::Tensor>& message, std::string_view name) {
  check(message->storage_case() != v1::Tensor::kShm && message->storage_case() != v1::Tensor::kIpc,
        ErrorCode::kUnimplemented, std::string(name) + ": only inline bytes are read");
  const at::ScalarType type = type_of(*message, name);
  const auto item_bytes = static_cast<int64_t>(at::elementSize(type));
  const at::DimVector shape = shape_of(*message, item_bytes, name);
  const std::string& data = message->data();
  const int64_t expected = c10::multiply_integers(shape) * item_bytes;
  check(std::cmp_equal(expected, data.size()), ErrorCode::kInvalidArgument,
        std::string(name) + ": expected " + std::to_string(expected) + " bytes for " +
            shape_text(shape) + ", got " + std::to_string(data.size()));
  if (expected == 0) return at::empty(shape, type);
  // A tensor in a message is immutable once handed on, so nobody writes through this pointer.
  return at::from_blob(
      const_cast<char*>(data.data()), shape, [message](void*) {}, at::TensorOptions().dtype(type));
}

}  // namespace lv::services
