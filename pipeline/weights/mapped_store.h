#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "pipeline/weights/mapped_file.h"
#include "pipeline/weights/tensor_store.h"

namespace lv {

/// Where a tensor lies in a file.
struct MappedTensor {
  ElementType type = at::kFloat;
  std::vector<int64_t> shape;  // row-major; two dimensions if quantised
  uint64_t offset = 0;         // from the file's first byte
};

/// The bytes that a tensor takes, or nothing if its sizes are negative, its last size is no whole
/// number of blocks, or its numbers do not fit in 63 bits.
std::optional<uint64_t> stored_bytes(const ElementType& type, std::span<const int64_t> shape);

/// Tensors of one mapped file. Those that lie at a multiple of their element's size are views of
/// the mapping, the others are copied when they are asked for.
class MappedStore : public TensorStore {
 public:
  using Index = std::map<std::string, MappedTensor, std::less<>>;

  /// Throws kInvalidArgument if a tensor reaches past the end of the file.
  MappedStore(MappedFilePtr file, Index index);

  std::vector<std::string> names() const override;
  bool contains(std::string_view name) const override { return index_.contains(name); }
  StoredTensor get(std::string_view name) const override;
  std::vector<int64_t> shape(std::string_view name) const override { return find(name).shape; }
  ElementType type(std::string_view name) const override { return find(name).type; }

 private:
  const MappedTensor& find(std::string_view name) const;
  at::Tensor bytes_as(uint64_t offset, at::IntArrayRef shape, at::ScalarType type) const;

  MappedFilePtr file_;
  Index index_;
};

}  // namespace lv
