#include "pipeline/weights/mapped_store.h"

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

#include <cstring>

#include "pipeline/base/check_shape.h"
#include "pipeline/base/error.h"

namespace lv {
namespace {

constexpr size_t kMaxDimensions = 16;

/// a * b, or nothing if it is negative or needs more than 63 bits.
std::optional<int64_t> product(int64_t a, int64_t b) {
  int64_t result = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

}  // namespace

std::optional<uint64_t> stored_bytes(const ElementType& type, std::span<const int64_t> shape) {
  if (shape.size() > kMaxDimensions) return std::nullopt;
  std::optional<int64_t> bytes = 1;
  std::optional<int64_t> strides = 1;  // a size of 0 must not hide an overflow in the strides
  int64_t unit = 1;
  if (const auto* format = std::get_if<BlockFormat>(&type)) {
    const BlockLayout layout = layout_of(*format);
    if (shape.size() != 2 || shape[1] < 0 || shape[1] % layout.weights != 0) return std::nullopt;
    bytes = product(shape[0], shape[1] / layout.weights);
    strides = product(std::max<int64_t>(shape[0], 1), std::max<int64_t>(shape[1], 1));
    unit = layout.bytes;
  } else {
    unit = static_cast<int64_t>(at::elementSize(std::get<at::ScalarType>(type)));
    for (const int64_t size : shape) {
      if (bytes) bytes = product(*bytes, size);
      if (strides) strides = product(*strides, std::max<int64_t>(size, 1));
    }
  }
  if (bytes) bytes = product(*bytes, unit);
  if (strides) strides = product(*strides, unit);
  if (!bytes || !strides) return std::nullopt;
  return static_cast<uint64_t>(*bytes);
}

MappedStore::MappedStore(MappedFilePtr file, Index index)
    : file_(std::move(file)), index_(std::move(index)) {
  const uint64_t size = file_->bytes().size();
  for (const auto& [name, tensor] : index_) {
    const auto bytes = stored_bytes(tensor.type, tensor.shape);
    check(bytes && tensor.offset <= size && *bytes <= size - tensor.offset,
          ErrorCode::kInvalidArgument,
          file_->path() + ": tensor " + name + " " + shape_text(tensor.shape) +
              ": expected to lie within the file's " + std::to_string(size) + " bytes");
  }
}

std::vector<std::string> MappedStore::names() const {
  std::vector<std::string> all;
  all.reserve(index_.size());
  for (const auto& [name, tensor] : index_) all.push_back(name);
  return all;
}

const MappedTensor& MappedStore::find(std::string_view name) const {
  const auto it = index_.find(name);
  if (it == index_.end()) {
    throw Error(ErrorCode::kNotFound, file_->path() + ": no tensor " + std::string(name));
  }
  return it->second;
}

StoredTensor MappedStore::get(std::string_view name) const {
  const MappedTensor& tensor = find(name);
  if (const auto* format = std::get_if<BlockFormat>(&tensor.type)) {
    const BlockLayout layout = layout_of(*format);
    const int64_t row_bytes = tensor.shape[1] / layout.weights * layout.bytes;
    return QuantizedMatrix{*format, tensor.shape[0], tensor.shape[1],
                           bytes_as(tensor.offset, {tensor.shape[0], row_bytes}, at::kByte)};
  }
  return bytes_as(tensor.offset, tensor.shape, std::get<at::ScalarType>(tensor.type));
}

at::Tensor MappedStore::bytes_as(uint64_t offset, at::IntArrayRef shape,
                                 at::ScalarType type) const {
  const std::byte* begin = file_->bytes().data() + offset;
  const auto options = at::TensorOptions().dtype(type);
  const bool aligned = reinterpret_cast<uintptr_t>(begin) % at::elementSize(type) == 0;
  at::Tensor x;
  if (aligned) {
    // The deleter holds the mapping for as long as the tensor lives, and then gives the pages back:
    // of a tensor that was copied into another type nothing stays in memory.
    const std::span part(begin, at::elementSize(type) * c10::multiply_integers(shape));
    file_->prefetch(part);
    x = at::from_blob(
        const_cast<std::byte*>(begin), shape, [file = file_, part](void*) { file->release(part); },
        options);
  } else {
    x = at::empty(shape, options);
    if (x.nbytes() > 0) std::memcpy(x.data_ptr(), begin, x.nbytes());
  }
  return x;
}

}  // namespace lv
